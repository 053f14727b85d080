import type { InstallErrorCode, ReleaseReference } from '@vigie/protocol';
import { FAULTS, MAX_LOADS, type RetryClass } from './faults.js';
import { type InstallState, isTerminal, type JournalEntry } from './journal.js';

/** What a desired state means for a board. */
export type Action =
  | { kind: 'nothing'; reason: 'leave-as-is' | 'answered' | 'waiting' }
  /** The wanted model runs already: only say so. */
  | { kind: 'adopt'; release: ReleaseReference }
  | { kind: 'refuse'; release: ReleaseReference; code: InstallErrorCode; message: string }
  /** `entry`: what it goes on with; null: it is new. */
  | { kind: 'install'; release: ReleaseReference; entry: JournalEntry | null };

/**
 * Desired, running and what happened before → the next action.
 * `runs`: digest of the model that detects while no candidate does; null: none.
 */
export function reconcile(
  { desired, journal, failed }: Pick<InstallState, 'desired' | 'journal' | 'failed'>,
  runs: string | null,
): Action {
  if (desired === null || desired.release === null) return { kind: 'nothing', reason: 'leave-as-is' };
  const { generation } = desired;
  // Back from a withdrawn release, but another one is wanted: that is not answered by going back.
  const wentBack = journal?.phase === 'COMMITTED' && journal.left !== undefined;
  const over = wentBack && journal.left !== desired.release.digest;
  const entry = journal?.generation === generation && !over ? journal : null;
  const release = entry?.left === undefined ? desired.release : entry.release;
  if (release.digest === runs) {
    return entry?.phase === 'COMMITTED' ? { kind: 'nothing', reason: 'answered' } : { kind: 'adopt', release };
  }
  if (entry !== null && isTerminal(entry.phase) && entry.phase !== 'COMMITTED') {
    const again = retryOf(entry);
    if (again === 'soon' || again === 'start') return { kind: 'install', release, entry };
    return { kind: 'nothing', reason: again === 'never' ? 'answered' : 'waiting' };
  }
  const failure = failed[release.digest];
  if (failure !== undefined && !(desired.retry === true && failure.generation < generation)) {
    return {
      kind: 'refuse',
      release,
      code: 'PREVIOUSLY_FAILED',
      message: `failed on this board with ${failure.code} in generation ${failure.generation}; assign it with retry to try again`,
    };
  }
  if (entry !== null && !isTerminal(entry.phase) && entry.loads >= MAX_LOADS) {
    return {
      kind: 'refuse',
      release,
      code: 'TRIAL_CHILD_CRASHED',
      message: `the agent ended ${entry.loads} times while this model was loaded or on trial`,
    };
  }
  return { kind: 'install', release, entry };
}

/** How an ended install goes on after a start. */
function retryOf({ error, retryAt }: JournalEntry): RetryClass {
  const { retry } = FAULTS[error?.code ?? 'INTERNAL'];
  if (retryAt === undefined) return error !== null && retry === 'start' ? 'start' : 'never';
  // What is final by its code was tried again because the child was killed from outside.
  return retry === 'never' ? 'soon' : retry;
}
