import type { Detector, FrameResult } from '../ports.js';

/** A turn of the pointer that was refused or did not reach its first result. */
export class TurnError extends Error {
  override readonly name = 'TurnError';
  readonly code: 'TRIAL_RUNNING' | 'SHADOW_RUNNING' | 'NO_TRIAL' | 'CANDIDATE_DIED' | 'TURNED_BACK' | 'STOPPED';

  constructor(code: TurnError['code'], message: string) {
    super(message);
    this.code = code;
  }
}

/** Frames wait while a candidate thinks, and the warm model could have them: so long it may take for one, ms … */
const STALL_MS = 2000;
/** … or so many times the previous model's time, on a board that is slow itself. */
const STALL_FACTOR = 10;

/** When a candidate is given up in the middle of a frame, ms. `previousMs`: what the model before took for its last one. */
export function stallLimitMs(previousMs: number): number {
  return Math.max(STALL_MS, STALL_FACTOR * previousMs);
}

/** A loaded model beside the live one: it sees every `every`-th of its frames. */
export interface Companion {
  detector: Detector;
  every: number;
  /** Live frames so far. */
  seen: number;
}

/** A candidate that is live while the model before it stays warm, or (after a stop-swap) lies on the disk. */
export interface Trial {
  candidate: Detector;
  /** The model before: its child while that lives, and where to load it again. */
  warm: Companion | null;
  previousDirectory: string | null;
  /** Patience for one frame, ms. */
  stallMs: number;
  /** Waits for the candidate's first result. */
  first: { resolve(result: FrameResult): void; reject(error: TurnError): void } | null;
}
