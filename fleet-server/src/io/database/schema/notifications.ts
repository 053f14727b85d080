import { sql } from 'drizzle-orm';
import { bigint, boolean, index, integer, jsonb, pgTable, text, unique, uniqueIndex } from 'drizzle-orm/pg-core';
import type { Rule } from '../../../alerts/rule.js';
import type { ChannelSettings, ChannelType, DeliveryAttempt, DeliveryState } from '../../../services/channel.js';
import { counter, instant } from './columns.js';

/** What operators want to hear of. */
export const alertRules = pgTable('alert_rules', {
  name: text('name').primaryKey(),
  rule: jsonb('rule').$type<Rule>().notNull(),
  updatedAt: instant('updated_at').notNull(),
  updatedBy: text('updated_by').notNull(),
});

/** `pending`: it holds, but not yet as long as the rule asks. */
export const alerts = pgTable(
  'alerts',
  {
    id: bigint('id', { mode: 'number' }).generatedAlwaysAsIdentity().primaryKey(),
    /** Name of the rule; the history of one that was deleted stays. */
    rule: text('rule').notNull(),
    kind: text('kind').$type<Rule['kind']>().notNull(),
    severity: text('severity').$type<Rule['severity']>().notNull(),
    subject: text('subject').notNull(),
    state: text('state').$type<'pending' | 'raised' | 'cleared'>().notNull(),
    text: text('text').notNull(),
    detail: jsonb('detail').$type<Record<string, unknown>>().notNull(),
    since: instant('since').notNull(),
    raisedAt: instant('raised_at'),
    clearedAt: instant('cleared_at'),
    clearedText: text('cleared_text'),
    acknowledgedAt: instant('acknowledged_at'),
    acknowledgedBy: text('acknowledged_by'),
    acknowledgedNote: text('acknowledged_note'),
    /** How often its raising was told. */
    notices: integer('notices').notNull().default(0),
    lastNoticeAt: instant('last_notice_at'),
    clearedNoticed: boolean('cleared_noticed').notNull().default(false),
  },
  (table) => [
    // One open alert of a rule and a subject, whatever runs twice.
    uniqueIndex('alerts_open').on(table.rule, table.subject).where(sql`state <> 'cleared'`),
    index('alerts_unnoticed').on(table.id).where(sql`not cleared_noticed`),
    index('alerts_by_state').on(table.state, table.id),
  ],
);

/** Where notices go, and what else was subscribed to. */
export const channels = pgTable('channels', {
  name: text('name').primaryKey(),
  type: text('type').$type<ChannelType>().notNull(),
  settings: jsonb('settings').$type<ChannelSettings>().notNull(),
  /** Passwords and signing keys, encrypted with the key file of the data folder (base64); null: it has none. */
  secret: text('secret'),
  /** Kinds of the activity log that go there by themselves. */
  events: jsonb('events').$type<string[]>().notNull(),
  enabled: boolean('enabled').notNull(),
  createdAt: instant('created_at').notNull(),
  updatedAt: instant('updated_at').notNull(),
  /** Since when every attempt fails; null: the last one went through. */
  failingSince: instant('failing_since'),
  failures: integer('failures').notNull().default(0),
  /** Switched off by the server after failing for long. */
  disabledAt: instant('disabled_at'),
  disabledReason: text('disabled_reason'),
});

/** What goes to a channel, with its history: written with the change that it tells of, done by the duty. */
export const deliveries = pgTable(
  'deliveries',
  {
    id: bigint('id', { mode: 'number' }).generatedAlwaysAsIdentity().primaryKey(),
    channel: text('channel')
      .notNull()
      .references(() => channels.name, { onDelete: 'cascade' }),
    /** What it is made from, such as `activity:17`: the same thing goes to a channel once. */
    source: text('source').notNull(),
    kind: text('kind').notNull(),
    body: jsonb('body').$type<Record<string, unknown>>().notNull(),
    state: text('state').$type<DeliveryState>().notNull(),
    createdAt: instant('created_at').notNull(),
    /** Not before; moved on while somebody works at it. */
    nextAt: instant('next_at').notNull(),
    attempts: integer('attempts').notNull().default(0),
    /** Newest last, bounded. */
    log: jsonb('log').$type<DeliveryAttempt[]>().notNull().default([]),
    doneAt: instant('done_at'),
    /** The delivery that this one repeats by hand. */
    replayOf: counter('replay_of'),
  },
  (table) => [
    unique('deliveries_source').on(table.channel, table.source),
    index('deliveries_due').on(table.channel, table.nextAt).where(sql`state = 'pending'`),
    index('deliveries_done').on(table.doneAt),
  ],
);
