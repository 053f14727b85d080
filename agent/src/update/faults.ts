import type { InstallErrorCode } from '@vigie/protocol';

/** When an install that ended with this code goes on by itself. */
export type RetryClass =
  /** Only a new generation helps. */
  | 'never'
  /** Also after the next start of the agent: another version of it may run then. */
  | 'start'
  /** 5 s to 5 min: the line, the broker, the disk. */
  | 'soon'
  /** 1 min to 1 h: the board or the fleet must change first. */
  | 'later'
  /** 1 h to 12 h: the budget of the next month. */
  | 'budget';

export interface Fault {
  retry: RetryClass;
  /** Attempts of one generation, the first included; beyond them it is final. Absent: no limit. */
  attempts?: number;
  /** True: held against the digest on this board, and not tried again without a new generation with `retry`. */
  model: boolean;
  /** A new connection is reason enough to try again at once. */
  line?: true;
}

const FINAL: Fault = { retry: 'never', model: false };
const MODEL: Fault = { retry: 'never', model: true };
const SOON: Fault = { retry: 'soon', model: false };
const LINE: Fault = { retry: 'soon', model: false, line: true };
const LATER: Fault = { retry: 'later', model: false };

/** What each code means for the generation and for the digest. Closed: a new code does not compile without a row here. */
export const FAULTS: Readonly<Record<InstallErrorCode, Fault>> = {
  DESIRED_SIGNATURE_INVALID: FINAL,
  DESIRED_MALFORMED: FINAL,
  DESIRED_WRONG_DEVICE: FINAL,
  DESIRED_STALE_GENERATION: FINAL,
  DESIRED_KEY_REVOKED: FINAL,
  // Forged or broken metadata says nothing about the release: when the true metadata is back, the install goes on.
  TUF_SIGNATURE_INVALID: LATER,
  TUF_EXPIRED: LINE,
  TUF_ROLLBACK: LATER,
  TUF_MISMATCH: LATER,
  TUF_KEY_REVOKED: LATER,
  TUF_TOO_LARGE: LATER,
  TUF_MALFORMED: LATER,
  TUF_UNAVAILABLE: LINE,
  TARGET_UNKNOWN: LINE,
  NOT_CERTIFIED: LATER,
  RELEASE_WITHDRAWN: FINAL,
  DESCRIPTOR_INVALID: FINAL,
  DIGEST_MISMATCH: FINAL,
  AGENT_TOO_OLD: { retry: 'start', model: false },
  HARDWARE_NOT_SUPPORTED: FINAL,
  DISK_FULL: SOON,
  DISK_ERROR: SOON,
  MEMORY_SHORT: LATER,
  DATA_BUDGET_EXCEEDED: { retry: 'budget', model: false },
  DOWNLOAD_REFUSED: FINAL,
  CHUNK_MISSING: LINE,
  CHUNK_CORRUPT: LATER,
  CHUNK_TOO_LARGE: LATER,
  // Each attempt fetches it anew: a disk may err, but a publisher's mistake must not cost a metered line for ever.
  FILE_CORRUPT: { retry: 'soon', model: false, attempts: 3 },
  PACKAGE_INVALID: MODEL,
  MODEL_LOAD_FAILED: MODEL,
  GOLDEN_MISMATCH: MODEL,
  SHADOW_DISAGREES: MODEL,
  TRIAL_CHILD_CRASHED: MODEL,
  TRIAL_TOO_SLOW: MODEL,
  TRIAL_DISAGREES: MODEL,
  TRIAL_HOT: LATER,
  TRIAL_NO_FRAMES: LATER,
  PREVIOUSLY_FAILED: FINAL,
  INTERNAL: SOON,
};

/** First and longest bound of the wait before a retry, ms. */
export interface RetryBounds {
  first: number;
  longest: number;
}

export type RetryTimes = Readonly<Record<Extract<RetryClass, 'soon' | 'later' | 'budget'>, RetryBounds>>;

export const RETRY_TIMES: RetryTimes = {
  soon: { first: 5000, longest: 300_000 },
  later: { first: 60_000, longest: 3_600_000 },
  budget: { first: 3_600_000, longest: 43_200_000 },
};

/** A model whose child was killed from outside so often in one generation is given up. */
export const MAX_KILLED = 3;
/** A model that took the agent down while it was loaded or on trial is given up after so many starts. */
export const MAX_LOADS = 3;

/**
 * Did the child die by somebody else's hand, or could it not even be started? The out-of-memory killer and an operator send
 * these signals, a board without room for a process or with a failing disk gives these errors. A model that aborts or touches
 * foreign memory dies by SIGABRT, SIGSEGV, SIGBUS, SIGILL or SIGFPE, and one that hangs is ended by the agent, which says so
 * in words.
 */
export function killedFromOutside(code: InstallErrorCode, message: string): boolean {
  return (
    (code === 'MODEL_LOAD_FAILED' || code === 'TRIAL_CHILD_CRASHED') &&
    /\b(?:SIGKILL|SIGTERM|SIGINT|SIGHUP|EAGAIN|ENOMEM|EMFILE|ENFILE|EIO)\b/.test(message)
  );
}
