import type {
  Agreement,
  Desired,
  InstallErrorCode,
  InstallPhase,
  ReleaseReference,
  SwapPlan,
  SwapReport,
} from '@vigie/protocol';
import type { RetryTimes } from './faults.js';
import type { InstallState } from './journal.js';

/** Where an install stands; `IDLE`: nothing was asked of this board. */
export type StateName = 'IDLE' | InstallPhase;

/** What happens to an install. */
export type InstallEvent =
  /** A newer desired state was opened and believed. */
  | { kind: 'accepted'; desired: Desired }
  /** The agent has started, and runs what it could verify. */
  | { kind: 'started' }
  /** The step of this phase ended well. `plan`, `present` (the package lies on the disk, whole): of the preflight. */
  | { kind: 'done'; plan?: SwapPlan; present?: boolean }
  /** The step of this phase ended badly. */
  | { kind: 'failed'; code: InstallErrorCode; message: string; swap?: SwapReport }
  /** The shadow run ended. */
  | { kind: 'looked'; ended: ShadowEnded; agreement: Agreement | null; message: string }
  /** The trial ended; `code` unless it was good. */
  | {
      kind: 'judged';
      verdict: 'good' | 'bad' | 'inconclusive';
      code?: InstallErrorCode;
      message: string;
      swap?: SwapReport;
      agreement?: Agreement;
    }
  /** The wait before a retry is over. */
  | { kind: 'due' }
  /** The line to the fleet is back. */
  | { kind: 'connected' }
  /** The publisher no longer lists these packages. */
  | { kind: 'withdrawn'; digests: readonly string[] }
  /** The agent stops in order. */
  | { kind: 'stopped' };

export type EventKind = InstallEvent['kind'];

/** `time`: it went its full length; `no-frames`: likewise, but too few frames could be compared. */
export type ShadowEnded = 'time' | 'crashed' | 'no-frames' | 'hot';

/** What the machine must know beside the state; the executor looks it up for each event. */
export interface Facts {
  /** Wall clock, ms since 1970: only to tell when a retry is due. */
  wallMs: number;
  /** 0..1, for the jitter of retries. */
  random: number;
  /** The package that came with the agent, where it can run; it lies in no slot. */
  bundled: ReleaseReference | null;
  retryTimes: RetryTimes;
}

/** What is to be done, in this order. At most one is a step, stands last, and is answered by an event. */
export type Effect =
  /** The candidate goes: its step is aborted; when it is live the pointer turns to the previous model first; its child is closed. */
  | { do: 'abandon' }
  /** The state is on the disk before anything else happens. */
  | { do: 'persist' }
  /** `terminal`: kept in the outbox until the server has it. */
  | { do: 'report'; terminal: boolean }
  /** The previous model is no longer needed: its child is closed. */
  | { do: 'drain' }
  /** Packages other than these are removed from the disk. */
  | { do: 'collect'; keep: readonly string[] }
  | { do: 'schedule'; delayMs: number }
  /** Looks whether the publisher still lists what runs. */
  | { do: 'review' }
  | Step;

/** Steps run until they have an answer, and stop when they are aborted. */
export type Step =
  /** Nothing to wait for: answered by `done` at once. */
  | { do: 'proceed' }
  | { do: 'preflight' | 'fetch' | 'verify' | 'self-test' | 'shadow' | 'stop-swap'; release: ReleaseReference }
  /** The pointer turns to the candidate, and it is judged by the trial's thresholds. After a stop-swap it has turned. */
  | { do: 'trial'; release: ReleaseReference }
  /** The pointer turns; the first live result is enough. */
  | { do: 'take-over'; release: ReleaseReference };

export type EffectName = Effect['do'];

export interface Transition {
  state: InstallState;
  effects: Effect[];
}
