import type {
  Agreement,
  InstallErrorCode,
  InstallPhase,
  ReleaseReference,
  ReportedConfiguration,
  RunningModel,
  SwapPlan,
  SwapReport,
} from '@vigie/protocol';
import type { TransportName } from './delivery.js';

export interface UpdateError {
  code: InstallErrorCode;
  message: string;
}

/** What the updater says of itself: the body of `reported`, and of the agent's own pages. */
export interface UpdateStatus {
  /** Newest accepted generation; 0 before the first. */
  generation: number;
  phase: 'IDLE' | InstallPhase;
  /** Why the last install or the last desired state was refused. */
  error: UpdateError | null;
  active: RunningModel | null;
  previous: ReleaseReference | null;
  candidate: ReleaseReference | null;
  swap: SwapReport | null;
  /** From the end of the preflight on. */
  plan?: SwapPlan;
  /** How far the candidate agreed with the live model. */
  agreement?: Agreement;
  /** The board goes on by itself: which attempt this was, and when the next one comes (wall clock, RFC 3339). */
  retry?: { attempt: number; at: string };
  /** What the board says of its configuration; absent: it has none. */
  configuration?: ReportedConfiguration;
  progress: { bytes: number; totalBytes: number } | null;
  /** What the download of this generation took from the line so far; absent: nothing was fetched for it. */
  delivery?: { transport: TransportName; fetchedBytes: number };
}
