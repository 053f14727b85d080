import { type SQL, sql } from 'drizzle-orm';
import type { Database } from './database.js';

/** Boards whose ids are above `after` and up to `last`. */
export interface DeviceRange {
  after: string;
  last: string;
}

/**
 * All boards in parts of so many, in the order of ids. The embedded database does one statement at a time, and whoever asks
 * for a page waits behind it: what looks at a whole fleet does so in parts that take milliseconds.
 */
export async function* deviceRanges(database: Database, boards: number): AsyncGenerator<DeviceRange> {
  for (let after = ''; ; ) {
    const [{ last, count }] = (await database.drizzle.execute(sql`
      select max(id) as last, count(*)::int as count
      from (select id from devices where id > ${after} order by id limit ${boards}) part`)) as unknown as {
      last: string | null;
      count: number;
    }[];
    if (last === null) return;
    yield { after, last };
    if (count < boards) return;
    after = last;
  }
}

/** The condition of a part on a column of device ids. */
export function within(column: SQL, { after, last }: DeviceRange): SQL {
  return sql`${column} > ${after} and ${column} <= ${last}`;
}
