import type { Detector, FrameResult } from '../ports.js';

/** A turn of the pointer that was refused or did not reach its first result. */
export class TurnError extends Error {
  override readonly name = 'TurnError';
  readonly code: 'TRIAL_RUNNING' | 'NO_TRIAL' | 'CANDIDATE_DIED' | 'TURNED_BACK';

  constructor(code: TurnError['code'], message: string) {
    super(message);
    this.code = code;
  }
}

/** A candidate that is live while the model before it stays warm. */
export interface Trial {
  candidate: Detector;
  compareEvery: number;
  seen: number;
  /** The model before: its child while that lives, and where to load it again. */
  warm: Detector | null;
  previousDirectory: string | null;
  /** Waits for the candidate's first result. */
  first: { resolve(result: FrameResult): void; reject(error: TurnError): void } | null;
}
