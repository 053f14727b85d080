import { sql } from 'drizzle-orm';
import { bigint, index, jsonb, pgTable, text } from 'drizzle-orm/pg-core';
import type { ActivityKind } from '../../../services/activity-kinds.js';
import { instant } from './columns.js';

/**
 * What happened, in order: written in the transaction of the change itself, read by everything that follows changes (live
 * views, alerts, webhooks, MLflow) with a cursor of its own. So nothing is lost over a crash, and every replica sees all of it.
 */
export const activity = pgTable(
  'activity',
  {
    id: bigint('id', { mode: 'number' }).generatedAlwaysAsIdentity().primaryKey(),
    at: instant('at').notNull(),
    kind: text('kind').$type<ActivityKind>().notNull(),
    /** What it is about: a device id, `name@version`, a rollout's id. */
    subject: text('subject').notNull(),
    /** Operator, token or `system`. */
    actor: text('actor').notNull(),
    body: jsonb('body').$type<Record<string, unknown>>().notNull(),
  },
  (table) => [
    index('activity_by_subject').on(table.subject, table.id),
    // Rare among what a fleet says, and looked for every few seconds from the last one on.
    index('activity_promotions').on(table.id).where(sql`kind = 'release.promoted'`),
  ],
);

/** How far each reader of `activity` has come. */
export const activityCursors = pgTable('activity_cursors', {
  reader: text('reader').primaryKey(),
  lastId: bigint('last_id', { mode: 'number' }).notNull(),
});
