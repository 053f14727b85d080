import {
  type ConfigurationCode,
  configurationDigest,
  configurationProblem,
  type Desired,
  type DeviceConfiguration,
  neededLabels,
  type ReportedConfiguration,
} from '@vigie/protocol';
import type { InstallState } from './journal.js';

/** What the board looks for, and what it says of that. */
export interface JudgedConfiguration {
  /** Null: everything. */
  inForce: DeviceConfiguration | null;
  reported: ReportedConfiguration | null;
}

export const NO_CONFIGURATION: JudgedConfiguration = { inForce: null, reported: null };

/**
 * What becomes of a configuration that is wanted. One that makes no sense is refused, and what was in force stays. One that names
 * labels which the running model lacks is in force as far as it goes, and says so: it is whole again with a model that has them.
 * `labels`: of the running model; null: none runs, so nothing can be said against it.
 */
export function judgeConfiguration(
  wanted: DeviceConfiguration | null,
  labels: readonly string[] | null,
  before: JudgedConfiguration,
): JudgedConfiguration {
  if (wanted === null) return NO_CONFIGURATION;
  const digest = configurationDigest(wanted);
  const refused = (code: ConfigurationCode, message: string) => ({
    digest,
    ok: false,
    code,
    message: message.slice(0, 300),
  });
  const problem = configurationProblem(wanted);
  if (problem !== null) return { inForce: before.inForce, reported: refused(problem.code, problem.message) };
  const missing = labels === null ? [] : neededLabels(wanted).filter((label) => !labels.includes(label));
  if (missing.length === 0) return { inForce: wanted, reported: { digest, ok: true } };
  const message = `the running model names no ${missing.map((label) => JSON.stringify(label)).join(', ')}`;
  return { inForce: wanted, reported: refused('LABEL_UNKNOWN', message) };
}

/** Orders of an install: what it is made of besides the configuration. */
const ORDER = ['release', 'retry', 'trial', 'shadow', 'delivery'] as const;

/** Is only the configuration another one? Then what is under way, or over, goes on under the new number. */
export function isOnlyConfigured(before: Desired | null, next: Desired): boolean {
  if (before === null) return false;
  const same = (a: unknown, b: unknown) => JSON.stringify(sorted(a)) === JSON.stringify(sorted(b));
  return ORDER.every((part) => same(before[part], next[part])) && !same(before.configuration, next.configuration);
}

/** The state of an install under the number of a desired state that asks for the same install. */
export function renumbered(state: InstallState, desired: Desired): InstallState {
  const { generation } = desired;
  const newest = state.newestIssuedAt;
  const { journal } = state;
  return {
    ...state,
    generation,
    desired,
    newestIssuedAt: newest !== null && newest > desired.issuedAt ? newest : desired.issuedAt,
    journal: journal?.generation === state.generation ? { ...journal, generation } : journal,
    // What failed under the old number must not count as something that may be tried again under the new one.
    failed: Object.fromEntries(
      Object.entries(state.failed).map(([digest, failure]) => [
        digest,
        failure.generation === state.generation ? { ...failure, generation } : failure,
      ]),
    ),
  };
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value ?? null;
  return Object.entries(value)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, member]) => [key, sorted(member)]);
}
