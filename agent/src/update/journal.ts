import { type Static, Type } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';
import {
  Agreement,
  Counter,
  Desired,
  InstallErrorCode,
  InstallPhase,
  type InstallPhase as Phase,
  ReleaseReference,
  Sha256,
  SwapPlan,
  SwapReport,
} from '@vigie/protocol';
import { FAULTS } from './faults.js';

/** Phases in which an install is over, for good or until it is tried again. */
export const ENDS: ReadonlySet<Phase> = new Set(['COMMITTED', 'SHADOWED', 'ROLLED_BACK', 'INCONCLUSIVE', 'FAILED']);

export function isTerminal(phase: Phase): boolean {
  return ENDS.has(phase);
}

/** How far one install came. */
export const JournalEntry = Type.Object({
  generation: Counter,
  release: ReleaseReference,
  phase: InstallPhase,
  /** Digest of a withdrawn release that this install leaves: it goes back to an earlier one that nobody asked for. */
  left: Type.Optional(Sha256),
  error: Type.Union([Type.Object({ code: InstallErrorCode, message: Type.String() }), Type.Null()]),
  /** 1 for the first one of this generation. */
  attempt: Counter,
  /** How often this install has begun to load its model: a model that takes the board down must not do so for ever. */
  loads: Counter,
  /** How often the candidate's child was killed from outside. */
  killed: Counter,
  /** When the next attempt is due, as the board's wall clock says it; only told, never compared. */
  retryAt: Type.Optional(Type.String()),
  plan: Type.Optional(SwapPlan),
  swap: Type.Optional(SwapReport),
  agreement: Type.Optional(Agreement),
});
export type JournalEntry = Static<typeof JournalEntry>;

/** All that the updater remembers over a restart: `<data>/state.json`. */
export const InstallState = Type.Object({
  schema: Type.Literal(2),
  /** Newest accepted generation; 0 before the first. */
  generation: Counter,
  /** The newest accepted desired state: an interrupted install goes on without waiting for the broker. */
  desired: Type.Union([Desired, Type.Null()]),
  /** Newest signed `issuedAt`: a floor for the time of a board without a clock. */
  newestIssuedAt: Type.Union([Type.String(), Type.Null()]),
  /** The slot to start from; null: the bundled package. */
  active: Type.Union([ReleaseReference, Type.Null()]),
  previous: Type.Union([ReleaseReference, Type.Null()]),
  journal: Type.Union([JournalEntry, Type.Null()]),
  /** By package digest: what failed on this board. */
  failed: Type.Record(Type.String(), Type.Object({ code: InstallErrorCode, generation: Counter })),
});
export type InstallState = Static<typeof InstallState>;

export const EMPTY_STATE: InstallState = {
  schema: 2,
  generation: 0,
  desired: null,
  newestIssuedAt: null,
  active: null,
  previous: null,
  journal: null,
  failed: {},
};

/**
 * What stands in a state file → the state. Files of schema 1 (before shadow runs, retries that are counted and withdrawals)
 * are read as what they meant. Throws an Error that names the field.
 */
export function parseState(value: unknown): InstallState {
  const state = migrate(value);
  const problem = Value.Errors(InstallState, state).First();
  if (problem !== undefined) throw new Error(`${problem.path || '/'}: ${problem.message}`);
  return state as InstallState;
}

function migrate(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || (value as { schema?: unknown }).schema !== 1) return value;
  const { journal, ...rest } = value as { journal?: { phase?: Phase; error?: { code?: InstallErrorCode } } | null };
  if (journal === null || journal === undefined) return { ...rest, schema: 2, journal: null };
  // Schema 1 tried some failures again without saying so in the file.
  const code = journal.phase === 'FAILED' ? journal.error?.code : undefined;
  const again = code !== undefined && FAULTS[code]?.retry === 'soon' ? { retryAt: new Date(0).toISOString() } : {};
  return { ...rest, schema: 2, journal: { attempt: 1, killed: 0, ...again, ...journal } };
}

/** How many failed digests are remembered; the oldest is forgotten first. */
const MAX_FAILED = 100;

/** Remembers that a digest failed here. */
export function rememberFailure(
  failed: InstallState['failed'],
  digest: string,
  failure: InstallState['failed'][string],
): InstallState['failed'] {
  const others = Object.entries(failed).filter(([key]) => key !== digest);
  return Object.fromEntries([...others, [digest, failure] as const].slice(-MAX_FAILED));
}
