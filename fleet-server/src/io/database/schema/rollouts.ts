import type { ReleaseReference } from '@vigie/protocol';
import { sql } from 'drizzle-orm';
import { bigint, boolean, index, integer, jsonb, pgTable, primaryKey, text } from 'drizzle-orm/pg-core';
import type { Cohort, DecisionKind, Figures, Progress } from '../../../rollout/model.js';
import type { RolloutSpec } from '../../../rollout/spec.js';
import type { MemberCode, MemberState, RolloutState } from '../../../rollout/states.js';
import { counter, instant } from './columns.js';
import { releases } from './foundation.js';

/** Rollouts. A newer one (a higher id) goes before an older one where both mean the same board. */
export const rollouts = pgTable(
  'rollouts',
  {
    id: integer('id').generatedByDefaultAsIdentity().primaryKey(),
    spec: jsonb('spec').$type<RolloutSpec>().notNull(),
    releaseId: integer('release_id')
      .notNull()
      .references(() => releases.id),
    /** The other release of a comparison. */
    otherReleaseId: integer('other_release_id').references(() => releases.id),
    state: text('state').$type<RolloutState>().notNull(),
    /** Grows by one with every step: the guard against two replicas that both think it is their turn. */
    revision: counter('revision').notNull().default(0),
    progress: jsonb('progress').$type<Progress>().notNull(),
    createdAt: instant('created_at').notNull(),
    createdBy: text('created_by').notNull(),
    /** When it starts by itself. */
    startAt: instant('start_at'),
    startedAt: instant('started_at'),
    endedAt: instant('ended_at'),
    updatedAt: instant('updated_at').notNull(),
  },
  (table) => [index('rollouts_by_state').on(table.state), index('rollouts_by_release').on(table.releaseId)],
);

/** A board's place in a rollout; see rollout/model.ts, Member. */
export const rolloutDevices = pgTable(
  'rollout_devices',
  {
    rolloutId: integer('rollout_id').notNull(),
    deviceId: text('device_id').notNull(),
    wave: integer('wave').notNull(),
    position: integer('position').notNull(),
    cohort: text('cohort').$type<Cohort>().notNull(),
    state: text('state').$type<MemberState>().notNull(),
    out: boolean('out').notNull(),
    code: text('code').$type<MemberCode>(),
    message: text('message'),
    base: text('base'),
    told: text('told'),
    generation: counter('generation'),
    previous: jsonb('previous').$type<ReleaseReference>(),
    attempt: integer('attempt').notNull(),
    offeredAt: instant('offered_at'),
    reachedAt: instant('reached_at'),
    endedAt: instant('ended_at'),
    holdUntil: instant('hold_until'),
    retryAt: instant('retry_at'),
    before: jsonb('before').$type<Figures>(),
    fetchedBytes: counter('fetched_bytes'),
    /** What of the board was seen last: present boot, newest report, generation. */
    seen: text('seen').notNull().default(''),
  },
  (table) => [
    primaryKey({ name: 'rollout_devices_pk', columns: [table.rolloutId, table.deviceId] }),
    index('rollout_devices_by_position').on(table.rolloutId, table.position),
    // Who is told next: only those that may be, so that a rollout near its end does not look through all that it has told.
    index('rollout_devices_waiting')
      .on(table.rolloutId, table.wave, table.position)
      .where(sql`${table.state} in ('waiting', 'deferred')`),
    index('rollout_devices_by_device').on(table.deviceId, table.generation),
    index('rollout_devices_out').on(table.rolloutId).where(sql`${table.out}`),
  ],
);

/** What was decided, by whom or what, and from which inputs. */
export const rolloutDecisions = pgTable(
  'rollout_decisions',
  {
    id: bigint('id', { mode: 'number' }).generatedAlwaysAsIdentity().primaryKey(),
    rolloutId: integer('rollout_id').notNull(),
    revision: counter('revision').notNull(),
    at: instant('at').notNull(),
    actor: text('actor').notNull(),
    kind: text('kind').$type<DecisionKind>().notNull(),
    wave: integer('wave'),
    text: text('text').notNull(),
    inputs: jsonb('inputs').$type<Record<string, unknown>>().notNull(),
  },
  (table) => [index('rollout_decisions_of_rollout').on(table.rolloutId, table.id)],
);
