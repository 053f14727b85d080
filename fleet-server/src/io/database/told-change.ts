import { type SQL, sql } from 'drizzle-orm';
import type { ActivityKind } from '../../services/activity-kinds.js';
import type { Database } from './database.js';
import { rawQuery } from './raw-query.js';

/** What the activity log says of a change. */
export interface Told {
  at: Date;
  kind: ActivityKind;
  actor: string;
  body: Record<string, unknown>;
}

/**
 * Runs an update of `devices` that returns ids, and tells of exactly the rows that it wrote (a row's `xmin` is the transaction
 * that wrote it). The log comes last: whoever writes to it keeps all other writers waiting until the commit, so nothing may be
 * waited for after it. Returns the ids.
 */
export async function toldChange(database: Database, update: SQL, { at, kind, actor, body }: Told): Promise<string[]> {
  const [written] = await database.transaction([
    rawQuery(database, update),
    rawQuery(
      database,
      sql`insert into activity (at, kind, subject, actor, body)
        select ${at.toISOString()}::timestamptz, ${kind}, id, ${actor}, ${JSON.stringify(body)}::jsonb
        from devices where xmin = pg_current_xact_id()::xid`,
    ),
  ]);
  return written.map(({ id }) => id as string);
}
