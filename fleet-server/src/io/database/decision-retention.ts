import { inArray, sql } from 'drizzle-orm';
import { ENDED } from '../../rollout/states.js';
import type { Database } from './database.js';
import { rolloutDecisions as decisions, rollouts } from './schema/rollouts.js';

/** Decisions in one statement: steps of rollouts wait for it. */
const ROWS_AT_ONCE = 5000;

/**
 * Drops what rollouts decided before `before`, where they ended before then as well: the decisions of one that runs stand on
 * each other, however old it is. One that only follows new boards has ended.
 */
export async function dropDecisions({ drizzle }: Database, before: Date, atOnce = ROWS_AT_ONCE): Promise<void> {
  const at = sql`${before.toISOString()}::timestamptz`;
  const states = sql.join(
    ENDED.map((state) => sql`${state}`),
    sql`, `,
  );
  const old = sql`(select its.id from ${decisions} its join ${rollouts} whose on whose.id = its.rollout_id
    where its.at < ${at} and whose.ended_at < ${at} and whose.state in (${states}) order by its.id limit ${atOnce})`;
  for (;;) {
    const gone = await drizzle.delete(decisions).where(inArray(decisions.id, old)).returning({ id: decisions.id });
    if (gone.length < atOnce) return;
  }
}
