import type { Desired, InstallErrorCode, ReleaseReference } from '@vigie/protocol';
import { isTransient } from './install-error.js';
import { type InstallState, isTerminal } from './journal.js';

/** A model that took the agent down while it was loaded or on trial is given up after so many starts. */
export const MAX_LOADS = 3;

export interface Installed {
  /** Digest of the model that detects now; null: none. */
  activeDigest: string | null;
}

/** What to do next. */
export type Action =
  | { kind: 'nothing'; reason: 'no-desired' | 'leave-as-is' | 'up-to-date' | 'already-answered' }
  /** The wanted model runs already: only say so. */
  | { kind: 'adopt'; release: ReleaseReference }
  | { kind: 'refuse'; release: ReleaseReference; code: InstallErrorCode; message: string }
  | { kind: 'install'; release: ReleaseReference; resume: boolean };

/** Desired, installed and what happened before → the next action. */
export function reconcile(
  desired: Desired | null,
  installed: Installed,
  history: Pick<InstallState, 'journal' | 'failed'>,
): Action {
  if (desired === null) return { kind: 'nothing', reason: 'no-desired' };
  const { release, generation } = desired;
  if (release === null) return { kind: 'nothing', reason: 'leave-as-is' };
  const entry = history.journal?.generation === generation ? history.journal : null;
  if (release.digest === installed.activeDigest) {
    return entry?.phase === 'COMMITTED' ? { kind: 'nothing', reason: 'up-to-date' } : { kind: 'adopt', release };
  }
  if (entry !== null && (entry.phase === 'FAILED' || entry.phase === 'ROLLED_BACK')) {
    const again = entry.error !== null && isTransient(entry.error.code);
    return again ? { kind: 'install', release, resume: true } : { kind: 'nothing', reason: 'already-answered' };
  }
  const failure = history.failed[release.digest];
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
  return { kind: 'install', release, resume: entry !== null };
}
