import type { BenchmarkResult, EvidenceSource, GatePolicy, GateVerdict, Verdict } from '@vigie/protocol';
import { bigint, boolean, index, integer, jsonb, pgTable, primaryKey, text, unique } from 'drizzle-orm/pg-core';
import type { LabState } from '../../../gates/lab.js';
import type { OverrideState } from '../../../gates/override.js';
import { instant } from './columns.js';
import { releases } from './foundation.js';

const release = () =>
  integer('release_id')
    .notNull()
    .references(() => releases.id);

/** What CI and lab boards measured. Rows never change: verdicts name them by id. */
export const benchmarkResults = pgTable(
  'benchmark_results',
  {
    id: bigint('id', { mode: 'number' }).generatedAlwaysAsIdentity().primaryKey(),
    /** SHA-256 of the document's canonical JSON: the same result twice is one row. */
    hash: text('hash').notNull(),
    releaseId: release(),
    source: text('source').$type<EvidenceSource>().notNull(),
    /** The lab board; null: CI. */
    deviceId: text('device_id'),
    actor: text('actor').notNull(),
    at: instant('at').notNull(),
    receivedAt: instant('received_at').notNull(),
    benchmark: text('benchmark').notNull(),
    arch: text('arch').notNull(),
    hardwareClass: text('hardware_class'),
    emulated: boolean('emulated').notNull(),
    body: jsonb('body').$type<BenchmarkResult>().notNull(),
  },
  (table) => [
    unique('benchmark_results_once').on(table.hash, table.source),
    index('benchmark_results_by_release').on(table.releaseId, table.id),
  ],
);

/** Every version of every gate policy; the newest of a name counts. */
export const gatePolicies = pgTable(
  'gate_policies',
  {
    name: text('name').notNull(),
    version: integer('version').notNull(),
    /** Null: removed from this version on. */
    document: jsonb('document').$type<GatePolicy>(),
    createdAt: instant('created_at').notNull(),
    createdBy: text('created_by').notNull(),
    note: text('note').notNull().default(''),
  },
  (table) => [primaryKey({ name: 'gate_policies_pk', columns: [table.name, table.version] })],
);

/** What a verdict was made from: ids of results, and the release that it was held against. */
export interface VerdictInputs {
  evidence: number[];
  champion: { name: string; version: string; digest: string; evidence: number[] } | null;
}

/** Every verdict with its inputs; the same inputs give one row. */
export const gateVerdicts = pgTable(
  'gate_verdicts',
  {
    id: bigint('id', { mode: 'number' }).generatedAlwaysAsIdentity().primaryKey(),
    releaseId: release(),
    policy: text('policy').notNull(),
    policyVersion: integer('policy_version').notNull(),
    inputsHash: text('inputs_hash').notNull(),
    at: instant('at').notNull(),
    actor: text('actor').notNull(),
    verdict: text('verdict').$type<Verdict>().notNull(),
    inputs: jsonb('inputs').$type<VerdictInputs>().notNull(),
    body: jsonb('body').$type<GateVerdict>().notNull(),
  },
  (table) => [
    unique('gate_verdicts_once').on(table.releaseId, table.policy, table.policyVersion, table.inputsHash),
    index('gate_verdicts_by_release').on(table.releaseId, table.id),
  ],
);

/** Releases whose results, policies or champion changed since they were judged: written with the change itself. */
export const gatePending = pgTable('gate_pending', {
  releaseId: integer('release_id')
    .primaryKey()
    .references(() => releases.id),
  /** Counts changes, so that one which comes during a judgement is not lost. */
  changes: bigint('changes', { mode: 'number' }).notNull(),
});

/** What a release is certified for. A row stands until somebody revokes it; a revoked one only comes back by an override. */
export const gateGrants = pgTable(
  'gate_grants',
  {
    releaseId: release(),
    /** Or `*`. */
    hardwareClass: text('hardware_class').notNull(),
    /** Policies that passed, or the override, as the certificate says it. */
    policy: text('policy').notNull(),
    measured: jsonb('measured').$type<Record<string, number>>().notNull(),
    grantedAt: instant('granted_at').notNull(),
    /** Verdicts it rests on. */
    verdicts: jsonb('verdicts').$type<number[]>().notNull(),
    overrideId: bigint('override_id', { mode: 'number' }),
    revokedAt: instant('revoked_at'),
    revokedBy: text('revoked_by'),
    revokeReason: text('revoke_reason'),
  },
  (table) => [primaryKey({ name: 'gate_grants_pk', columns: [table.releaseId, table.hardwareClass] })],
);

/** Requests to certify against the gates' word. */
export const gateOverrides = pgTable(
  'gate_overrides',
  {
    id: bigint('id', { mode: 'number' }).generatedAlwaysAsIdentity().primaryKey(),
    releaseId: release(),
    hardwareClasses: jsonb('hardware_classes').$type<string[]>().notNull(),
    reason: text('reason').notNull(),
    state: text('state').$type<OverrideState>().notNull(),
    requestedBy: text('requested_by').notNull(),
    requestedAt: instant('requested_at').notNull(),
    /** Newest verdicts of that moment: what was overridden. */
    verdicts: jsonb('verdicts').$type<number[]>().notNull(),
    decidedBy: text('decided_by'),
    decidedAt: instant('decided_at'),
    decision: text('decision'),
  },
  (table) => [index('gate_overrides_by_release').on(table.releaseId, table.id)],
);

/** Lab boards that were asked to benchmark a release. */
export const labBenchmarks = pgTable(
  'lab_benchmarks',
  {
    /** The command's id. */
    id: text('id').primaryKey(),
    releaseId: release(),
    deviceId: text('device_id').notNull(),
    samples: integer('samples').notNull(),
    requestedBy: text('requested_by').notNull(),
    requestedAt: instant('requested_at').notNull(),
    expiresAt: instant('expires_at').notNull(),
    state: text('state').$type<LabState>().notNull(),
    /** Why the board gave no result. */
    code: text('code'),
    detail: text('detail'),
    resultId: bigint('result_id', { mode: 'number' }).references(() => benchmarkResults.id),
  },
  (table) => [index('lab_benchmarks_by_state').on(table.state, table.deviceId)],
);
