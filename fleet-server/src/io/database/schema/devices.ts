import type { Command, DeviceConfiguration } from '@vigie/protocol';
import { boolean, index, integer, jsonb, pgTable, primaryKey, real, text } from 'drizzle-orm/pg-core';
import type { Selector } from '../../../devices/selector.js';
import { counter, instant } from './columns.js';

/** Named selectors. Where several groups configure a board, the highest priority counts, then the first name. */
export const deviceGroups = pgTable('device_groups', {
  name: text('name').primaryKey(),
  selector: jsonb('selector').$type<Selector>().notNull(),
  description: text('description').notNull().default(''),
  priority: integer('priority').notNull().default(0),
  createdAt: instant('created_at').notNull(),
  updatedAt: instant('updated_at').notNull(),
});

export type ConfigurationScope = 'fleet' | 'group' | 'device';

/** Every version of every configuration that was wanted; the newest of a target counts. */
export const deviceConfigurations = pgTable(
  'device_configurations',
  {
    scope: text('scope').$type<ConfigurationScope>().notNull(),
    /** A device id or a group's name; empty for the fleet. */
    target: text('target').notNull(),
    version: integer('version').notNull(),
    /** Null: taken back from this version on. */
    configuration: jsonb('configuration').$type<DeviceConfiguration>(),
    createdAt: instant('created_at').notNull(),
    createdBy: text('created_by').notNull(),
    note: text('note').notNull().default(''),
  },
  (table) => [primaryKey({ name: 'device_configurations_pk', columns: [table.scope, table.target, table.version] })],
);

/** One-off requests to boards and what came back. `sent` and `expired` follow from the times. */
export const commands = pgTable(
  'commands',
  {
    id: text('id').primaryKey(),
    deviceId: text('device_id').notNull(),
    command: jsonb('command').$type<Command['command']>().notNull(),
    createdBy: text('created_by').notNull(),
    issuedAt: instant('issued_at').notNull(),
    expiresAt: instant('expires_at').notNull(),
    answeredAt: instant('answered_at'),
    ok: boolean('ok'),
    code: text('code'),
    result: jsonb('result').$type<unknown>(),
  },
  (table) => [index('commands_by_device').on(table.deviceId, table.issuedAt)],
);

/**
 * Telemetry of one board, one model and one span of time by the server's clock. Sums are kept, so that spans add up: mean
 * fps is `frames / seconds`. Percentiles do not add up: kept are the windows' percentiles weighted by their frames, and the
 * largest p95.
 */
const rollup = () => ({
  deviceId: text('device_id').notNull(),
  at: instant('at').notNull(),
  /** Package digest; empty while no model ran. */
  model: text('model').notNull(),
  messages: integer('messages').notNull(),
  seconds: real('seconds').notNull(),
  frames: real('frames').notNull(),
  fpsMin: real('fps_min').notNull(),
  /** Frames of windows that named latencies: the weight of the sums below, ms × frames. */
  latencyFrames: real('latency_frames').notNull(),
  p50Sum: real('p50_sum').notNull(),
  p95Sum: real('p95_sum').notNull(),
  p99Sum: real('p99_sum').notNull(),
  inferenceP95Sum: real('inference_p95_sum').notNull(),
  p95Max: real('p95_max'),
  drops: counter('drops').notNull(),
  cpuSum: real('cpu_sum').notNull(),
  cpuMax: real('cpu_max').notNull(),
  memoryMax: counter('memory_max').notNull(),
  temperatureSum: real('temperature_sum').notNull(),
  temperatureCount: integer('temperature_count').notNull(),
  temperatureMax: real('temperature_max'),
  /** Messages that said the board was throttled. */
  throttled: integer('throttled').notNull(),
  diskFreeMin: counter('disk_free_min'),
  restartsMax: counter('restarts_max').notNull(),
  /** Ten bins each, as in the telemetry message. */
  scores: counter('scores').array().notNull(),
  areas: counter('areas').array().notNull(),
});

export const telemetryMinutes = pgTable('telemetry_minutes', rollup(), (table) => [
  primaryKey({ name: 'telemetry_minutes_pk', columns: [table.deviceId, table.at, table.model] }),
  index('telemetry_minutes_by_time').on(table.at),
]);

export const telemetryHours = pgTable('telemetry_hours', rollup(), (table) => [
  primaryKey({ name: 'telemetry_hours_pk', columns: [table.deviceId, table.at, table.model] }),
  index('telemetry_hours_by_time').on(table.at),
]);

/** What a model saw at first, in the hours after its commit: what later histograms are held against. */
export const driftBaselines = pgTable(
  'drift_baselines',
  {
    /** Package digest. */
    model: text('model').notNull(),
    /** Empty: all boards together. */
    deviceId: text('device_id').notNull(),
    fromAt: instant('from_at').notNull(),
    untilAt: instant('until_at').notNull(),
    scores: counter('scores').array().notNull(),
    areas: counter('areas').array().notNull(),
  },
  (table) => [primaryKey({ name: 'drift_baselines_pk', columns: [table.model, table.deviceId] })],
);

/** The newest comparison of a board (or of all) with its baseline. */
export const driftFindings = pgTable(
  'drift_findings',
  {
    model: text('model').notNull(),
    deviceId: text('device_id').notNull(),
    at: instant('at').notNull(),
    /** Population stability index of each histogram. */
    scorePsi: real('score_psi').notNull(),
    areaPsi: real('area_psi').notNull(),
    /** Detections that were compared. */
    detections: counter('detections').notNull(),
    drifting: boolean('drifting').notNull(),
    /** Since when it drifts or does not. */
    since: instant('since').notNull(),
  },
  (table) => [
    primaryKey({ name: 'drift_findings_pk', columns: [table.model, table.deviceId] }),
    index('drift_findings_by_device').on(table.deviceId),
  ],
);

/** When work by the calendar is due next: whichever replica moves the time forward does it. */
export const schedules = pgTable('schedules', {
  name: text('name').primaryKey(),
  /** node-cron expression that `dueAt` was made from. */
  expression: text('expression').notNull(),
  dueAt: instant('due_at').notNull(),
});

/** How far a rollup has come. */
export const rollupProgress = pgTable('rollup_progress', {
  name: text('name').primaryKey(),
  /** Everything before it is done. */
  until: instant('until').notNull(),
});

/** Pictures that lost a row that named them: removed after a while, unless another row names them. */
export const pictureDeletions = pgTable('picture_deletions', {
  sha256: text('sha256').primaryKey(),
  at: instant('at').notNull(),
});
