import { type Static, Type } from '@sinclair/typebox';
import {
  Counter,
  Desired,
  InstallErrorCode,
  InstallPhase,
  type InstallPhase as Phase,
  ReleaseReference,
  SwapReport,
} from '@vigie/protocol';

/**
 * Which phase may follow which. From every phase an install may start anew (OFFERED): a newer generation came, or the
 * board restarted and the interrupted install goes on; what is on the disk by then is not fetched again.
 */
export const TRANSITIONS: Readonly<Record<Phase, readonly Phase[]>> = {
  OFFERED: ['PREFLIGHT', 'FAILED', 'OFFERED'],
  PREFLIGHT: ['DOWNLOADING', 'FAILED', 'OFFERED'],
  DOWNLOADING: ['VERIFYING', 'FAILED', 'OFFERED'],
  VERIFYING: ['STAGED', 'FAILED', 'OFFERED'],
  STAGED: ['SELF_TEST', 'FAILED', 'OFFERED'],
  SELF_TEST: ['SHADOW', 'TRIAL', 'FAILED', 'OFFERED'],
  SHADOW: ['TRIAL', 'SHADOWED', 'INCONCLUSIVE', 'FAILED', 'OFFERED'],
  TRIAL: ['COMMITTED', 'ROLLED_BACK', 'INCONCLUSIVE', 'FAILED', 'OFFERED'],
  COMMITTED: ['OFFERED'],
  SHADOWED: ['OFFERED'],
  ROLLED_BACK: ['OFFERED'],
  INCONCLUSIVE: ['OFFERED'],
  FAILED: ['OFFERED'],
};

export function isTerminal(phase: Phase): boolean {
  return ['COMMITTED', 'SHADOWED', 'ROLLED_BACK', 'INCONCLUSIVE', 'FAILED'].includes(phase);
}

export function mayFollow(from: Phase, to: Phase): boolean {
  return TRANSITIONS[from].includes(to);
}

/** How far one install came. */
export const JournalEntry = Type.Object({
  generation: Counter,
  release: ReleaseReference,
  phase: InstallPhase,
  error: Type.Union([Type.Object({ code: InstallErrorCode, message: Type.String() }), Type.Null()]),
  /** How often this install has begun to load its model: a model that takes the board down must not do so for ever. */
  loads: Counter,
  swap: Type.Optional(SwapReport),
});
export type JournalEntry = Static<typeof JournalEntry>;

/** All that the updater remembers over a restart: `<data>/state.json`. */
export const InstallState = Type.Object({
  schema: Type.Literal(1),
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
  schema: 1,
  generation: 0,
  desired: null,
  newestIssuedAt: null,
  active: null,
  previous: null,
  journal: null,
  failed: {},
};

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

/** Phase → journal entry, checked against the table. Throws RangeError on a step that cannot be: a bug of ours. */
export function advance(entry: JournalEntry, phase: Phase, changes: Partial<JournalEntry> = {}): JournalEntry {
  if (!mayFollow(entry.phase, phase)) throw new RangeError(`install phase ${phase} cannot follow ${entry.phase}`);
  return { ...entry, ...changes, phase };
}
