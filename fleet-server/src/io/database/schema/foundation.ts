import type { Desired, ReleaseDescriptor, Reported } from '@vigie/protocol';
import { sql } from 'drizzle-orm';
import { bigint, boolean, index, integer, jsonb, pgTable, primaryKey, serial, text, unique } from 'drizzle-orm/pg-core';
import type { DeviceRole } from '../../../devices/selector.js';
import type { ManifestSummary, ReleaseProvenance } from '../../../registry/release-facts.js';
import type { ReleaseState } from '../../../registry/release-state.js';
import { counter, instant } from './columns.js';

/** Tables that everything stands on. Each area of the server has its own file here; see columns.ts. */

/** Tokens by which boards get their certificates. Only hashes are stored. */
export const enrollmentTokens = pgTable('enrollment_tokens', {
  hash: text('hash').primaryKey(),
  createdAt: instant('created_at').notNull(),
  expiresAt: instant('expires_at').notNull(),
  /** The last use, and the board. */
  usedAt: instant('used_at'),
  usedBy: text('used_by'),
  /** Boards that may come in by it, and that have. */
  uses: integer('uses').notNull().default(1),
  used: integer('used').notNull().default(0),
  /** What a board becomes that comes in by it. */
  role: text('role').$type<DeviceRole>().notNull().default('standard'),
  tags: jsonb('tags').$type<string[]>().notNull().default([]),
  /** The board has to be approved. */
  approval: boolean('approval').notNull().default(false),
  createdBy: text('created_by').notNull().default('system'),
  note: text('note').notNull().default(''),
  revokedAt: instant('revoked_at'),
});

export const releases = pgTable(
  'releases',
  {
    id: serial('id').primaryKey(),
    name: text('name').notNull(),
    version: text('version').notNull(),
    digest: text('digest').notNull(),
    precision: text('precision').notNull(),
    /** Sum of the sizes of the package's files, bytes. */
    bytes: counter('bytes').notNull(),
    state: text('state').$type<ReleaseState>().notNull(),
    /** Which policy let it reach `released`; `default-policy` where gates were not asked. */
    certifiedBy: text('certified_by'),
    descriptor: jsonb('descriptor').$type<ReleaseDescriptor>().notNull(),
    /** SHA-256 and length of the descriptor's exact bytes: the TUF target and its one chunk. */
    descriptorSha256: text('descriptor_sha256').notNull(),
    descriptorBytes: integer('descriptor_bytes').notNull(),
    createdAt: instant('created_at').notNull(),
    withdrawnAt: instant('withdrawn_at'),
    /** Operator or token; null: taken in before this was kept. */
    uploadedBy: text('uploaded_by'),
    /** Free text of people. */
    notes: text('notes').notNull().default(''),
    /** What the manifest says beside the descriptor; null: taken in before this was kept. */
    manifest: jsonb('manifest').$type<ManifestSummary>(),
    /** Where it was imported from; null: uploaded. */
    provenance: jsonb('provenance').$type<ReleaseProvenance>(),
  },
  (table) => [unique('releases_name_version').on(table.name, table.version)],
);

/** `name@version` of a release reference in a document. */
const releaseText = (document: string, path: string) =>
  sql.raw(`(${document} #>> '{${path},name}') || '@' || (${document} #>> '{${path},version}')`);

/** Boards that cannot be reached or told just now. */
export const APART = sql`not online or pending or revoked_at is not null or decommissioned_at is not null`;

export const devices = pgTable(
  'devices',
  {
    id: text('id').primaryKey(),
    hardwareClass: text('hardware_class').notNull(),
    agentVersion: text('agent_version').notNull(),
    enrolledAt: instant('enrolled_at').notNull(),
    /** When an operator revoked it; null while it may come in. */
    revokedAt: instant('revoked_at'),
    /** Waits for an operator's approval: may report, is told nothing. */
    pending: boolean('pending').notNull().default(false),
    /** Taken out of the fleet: shown no more, its history stays as long as histories stay. */
    decommissionedAt: instant('decommissioned_at'),
    /** What operators call it, and what they should know of it. */
    name: text('name').notNull().default(''),
    notes: text('notes').notNull().default(''),
    /** `lab`: may benchmark a release that is not certified yet. Set by the enrolment token. */
    role: text('role').$type<DeviceRole>().notNull().default('standard'),
    /** Words that operators select boards by, sorted. */
    tags: jsonb('tags').$type<string[]>().notNull().default([]),
    /** IANA zone of maintenance windows; null: UTC. */
    timeZone: text('time_zone'),
    /** Boot that said it was born last; null before the first birth. */
    bootId: text('boot_id'),
    /** Boots that were superseded, newest last, bounded. */
    pastBoots: jsonb('past_boots').$type<string[]>().notNull().default([]),
    online: boolean('online').notNull().default(false),
    presenceAt: instant('presence_at'),
    /** What the activity log said last of `online`. */
    announcedOnline: boolean('announced_online').notNull().default(false),
    /** Only grows; the generation of `desired`. */
    generation: counter('generation').notNull().default(0),
    desired: jsonb('desired').$type<Desired>(),
    desiredReleaseId: integer('desired_release_id').references(() => releases.id),
    /** Digest of the configuration inside `desired`; null: none. */
    configurationDigest: text('configuration_digest'),
    reported: jsonb('reported').$type<Reported>(),
    reportedReceivedAt: instant('reported_received_at'),
    // What lists and filters ask for stands beside the documents, made by the database whenever one of them changes.
    desiredRelease: text('desired_release').generatedAlwaysAs(releaseText('desired', 'release')),
    running: text('running').generatedAlwaysAs(releaseText('reported', 'active,release')),
    runningDigest: text('running_digest').generatedAlwaysAs(sql`reported #>> '{active,release,digest}'`),
    phase: text('phase').generatedAlwaysAs(sql`reported ->> 'phase'`),
    errorCode: text('error_code').generatedAlwaysAs(sql`reported #>> '{error,code}'`),
    reportedBootId: text('reported_boot_id').generatedAlwaysAs(sql`reported ->> 'bootId'`),
    reportedSequence: counter('reported_sequence').generatedAlwaysAs(sql`(reported ->> 'sequence')::bigint`),
    reportedGeneration: counter('reported_generation').generatedAlwaysAs(sql`(reported ->> 'generation')::bigint`),
    /** The same as `isInSync` in devices/device-view.ts, which says why. */
    inSync: boolean('in_sync')
      .notNull()
      .generatedAlwaysAs(sql`coalesce(
      reported ->> 'bootId' = boot_id and reported ->> 'phase' in ('COMMITTED', 'IDLE')
      and (reported ->> 'generation')::bigint >= (desired ->> 'generation')::bigint
      and reported #>> '{active,release,digest}' = desired #>> '{release,digest}'
      and (reported #>> '{active,framesRun}')::bigint > 0, false)`),
  },
  (table) => [
    index('devices_by_tag').using('gin', table.tags),
    index('devices_by_running').on(table.running),
    index('devices_by_release').on(table.desiredReleaseId),
    // Boards that a rollout cannot reach now: mostly few, and each of its steps and pages asks for them.
    index('devices_apart').on(table.id).where(APART),
    // The few that operators look for. No more on what births and wills change: a fleet that comes back would write them all.
    index('devices_out_of_sync').on(table.id).where(sql`not ${table.inSync}`),
    // What `prefix` asks for, whatever the case.
    index('devices_by_id_prefix').on(sql`lower(${table.id}) text_pattern_ops`),
    index('devices_by_name_prefix').on(sql`lower(${table.name}) text_pattern_ops`),
    index('devices_failing').on(table.errorCode, table.id).where(sql`${table.errorCode} is not null`),
  ],
);

/** Every certificate that a board was given and that has not expired long since. */
export const deviceCertificates = pgTable(
  'device_certificates',
  {
    /** 32 lower-case hex digits. */
    serial: text('serial').primaryKey(),
    deviceId: text('device_id').notNull(),
    issuedAt: instant('issued_at').notNull(),
    expiresAt: instant('expires_at').notNull(),
    /** First connection with it: from then on the ones before it do not count any more. */
    usedAt: instant('used_at'),
    revokedAt: instant('revoked_at'),
    /** Revoked because a newer one took its place. */
    superseded: boolean('superseded').notNull().default(false),
  },
  (table) => [index('device_certificates_by_device').on(table.deviceId)],
);

/** Columns of everything that boards send with a boot id and a sequence: the pair makes inserts idempotent. */
const received = () => ({
  id: bigint('id', { mode: 'number' }).generatedAlwaysAsIdentity().notNull(),
  deviceId: text('device_id').notNull(),
  bootId: text('boot_id').notNull(),
  sequence: counter('sequence').notNull(),
  at: instant('at').notNull(),
  receivedAt: instant('received_at').notNull(),
  body: jsonb('body').$type<unknown>().notNull(),
});

export const reports = pgTable('reports', received(), (table) => [
  primaryKey({ name: 'reports_pk', columns: [table.deviceId, table.bootId, table.sequence] }),
  index('reports_newest').on(table.deviceId, table.id),
]);

export const telemetry = pgTable('telemetry', received(), (table) => [
  primaryKey({ name: 'telemetry_pk', columns: [table.deviceId, table.bootId, table.sequence] }),
  index('telemetry_newest').on(table.deviceId, table.id),
]);

export const events = pgTable('events', received(), (table) => [
  primaryKey({ name: 'events_pk', columns: [table.deviceId, table.bootId, table.sequence] }),
  index('events_newest').on(table.deviceId, table.id),
  index('events_by_id').on(table.id),
  index('events_by_time').on(table.at, table.id),
  index('events_by_label').on(sql`(body ->> 'label')`, table.id),
  index('events_by_rule').on(sql`(body ->> 'rule')`, table.id),
]);

export const replies = pgTable('replies', received(), (table) => [
  primaryKey({ name: 'replies_pk', columns: [table.deviceId, table.bootId, table.sequence] }),
  index('replies_newest').on(table.deviceId, table.id),
]);

/** Best picture of an event; the bytes stand in the snapshot store under their SHA-256. */
export const snapshots = pgTable(
  'snapshots',
  {
    id: bigint('id', { mode: 'number' }).generatedAlwaysAsIdentity().notNull(),
    deviceId: text('device_id').notNull(),
    eventId: text('event_id').notNull(),
    sha256: text('sha256').notNull(),
    bytes: integer('bytes').notNull(),
    receivedAt: instant('received_at').notNull(),
  },
  (table) => [
    primaryKey({ name: 'snapshots_pk', columns: [table.deviceId, table.eventId] }),
    index('snapshots_newest').on(table.deviceId, table.id),
    index('snapshots_by_sha256').on(table.sha256),
    index('snapshots_by_time').on(table.receivedAt),
  ],
);
