import type { SQL } from 'drizzle-orm';
import type { Database, Query } from './database.js';

/** SQL as a query that has not run yet, for `Database.transaction`. Times go as ISO text with a cast. */
export function rawQuery({ drizzle }: Database, statement: SQL): Query {
  return { toSQL: () => drizzle.execute(statement).getQuery() };
}
