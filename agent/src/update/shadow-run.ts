import type { Agreement, ShadowPolicy } from '@vigie/protocol';
import type { BoardHeat, Clock, Detector, LiveDetector } from '../ports.js';
import { AgreementMeter } from './agreement.js';
import { watchHeat } from './heat.js';
import { counting } from './trial-run.js';

/** Fewer compared frames than these say nothing about two models. */
const MIN_COMPARED = 5;

export interface ShadowSubject {
  candidate: Detector;
  policy: ShadowPolicy;
  /** From this temperature on the board is not burdened with a second model, degrees Celsius (of the TrialPolicy). */
  maxTemperatureC: number;
  /** Below this score detections of a model that does not tell its own threshold are not compared. */
  scoreFloor: number;
  /** Absent: a board without sensors. */
  readHeat?(): BoardHeat;
}

export interface ShadowEnd {
  /** `time`: it went its full length; `no-frames`: likewise, but fewer than five frames could be compared. */
  ended: 'time' | 'crashed' | 'no-frames' | 'hot';
  /** On the frames that both have seen; null when there were none. */
  agreement: Agreement | null;
  /** One line for the operator. */
  reason: string;
}

/**
 * Lets a loaded candidate look at one live frame in N for the policy's time. It is never live, and what becomes of it never
 * touches the model that is. The candidate stays the caller's: turn to it, or close it (also after `crashed`).
 * Rejects with the signal's reason when aborted, and with TurnError TRIAL_RUNNING or SHADOW_RUNNING.
 */
export async function runShadow(
  live: LiveDetector,
  clock: Clock,
  subject: ShadowSubject,
  signal: AbortSignal,
): Promise<ShadowEnd> {
  const { candidate, policy, scoreFloor } = subject;
  signal.throwIfAborted();
  const meter = new AgreementMeter();
  const cleanups: (() => void)[] = [];
  live.beginShadow(candidate, policy.everyFrames);
  try {
    const ended = await new Promise<Omit<ShadowEnd, 'agreement'>>((resolve, reject) => {
      const abort = () => reject(signal.reason);
      signal.addEventListener('abort', abort, { once: true });
      candidate.onCrash((reason) => resolve({ ended: 'crashed', reason: `the candidate's process died: ${reason}` }));
      cleanups.push(
        () => signal.removeEventListener('abort', abort),
        live.onComparison(({ live: now, other }) => {
          if (other.digest === candidate.digest) meter.add(counting(other, scoreFloor), counting(now, scoreFloor));
        }),
        clock.after(policy.seconds * 1000, () => resolve({ ended: 'time', reason: '' })),
        watchHeat({
          after: (ms, run) => clock.after(ms, run),
          readHeat: subject.readHeat ?? (() => ({ temperatureC: null, throttled: null })),
          maxTemperatureC: subject.maxTemperatureC,
          hot: (reason) => resolve({ ended: 'hot', reason }),
        }),
      );
    });
    await live.endShadow();
    return conclude(ended, meter.agreement, policy.seconds);
  } finally {
    for (const off of cleanups) off();
    await live.endShadow();
  }
}

function conclude(ended: Omit<ShadowEnd, 'agreement'>, agreement: Agreement | null, seconds: number): ShadowEnd {
  if (ended.ended !== 'time') return { ...ended, agreement };
  const {
    frames = 0,
    agreement: share = 0,
    matchedBoxes = 0,
    candidateBoxes = 0,
    referenceBoxes = 0,
  } = agreement ?? {};
  if (frames < MIN_COMPARED) {
    return { ended: 'no-frames', agreement, reason: `${frames} frames could be compared within ${seconds} s` };
  }
  const boxes = `${matchedBoxes} of ${candidateBoxes} boxes match those ${referenceBoxes} of the live model`;
  return { ended: 'time', agreement, reason: `agreement ${share.toFixed(2)} on ${frames} frames: ${boxes}` };
}
