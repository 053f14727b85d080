import type { InstallErrorCode, TrialPolicy } from '@vigie/protocol';
import { quantile } from './quantile.js';

/** Latencies of the previous model below this count are no yardstick. */
const MIN_BASELINE = 8;
/** Detections of the previous model, on the compared frames, from which a ratio means something. */
const MIN_PREVIOUS_DETECTIONS = 5;
/** A doubtful trial may take so many times `minFrames` before it is judged as it stands. */
const PATIENCE = 3;

export interface TrialSamples {
  /** Time in the child per live frame of the previous model before the swap, ms. */
  baselineMs: readonly number[];
  /** The same of the candidate, live. */
  candidateMs: readonly number[];
  /** Detections on frames that both have seen. */
  comparisons: readonly { candidate: number; previous: number }[];
  /** Why the candidate's child died; null: it lives. */
  crash: string | null;
  /** The deadline has passed. */
  final: boolean;
  /** Frames that the camera delivered in the trial and nobody detected on. */
  dropped: number;
}

export type TrialVerdict =
  | { verdict: 'pending' }
  | { verdict: 'good'; reason: string }
  | { verdict: 'bad'; code: InstallErrorCode; message: string };

const PENDING: TrialVerdict = { verdict: 'pending' };

/** Judges a candidate by its samples so far. Called again with more samples until it is no longer pending. */
export function judgeTrial(samples: TrialSamples, policy: TrialPolicy): TrialVerdict {
  if (samples.crash !== null) return bad('TRIAL_CHILD_CRASHED', `the candidate's process died: ${samples.crash}`);
  const frames = samples.candidateMs.length;
  if (frames === 0) {
    // Frames came and none was answered: the candidate hangs. No frames at all is the camera's affair: wait for it.
    return samples.final && samples.dropped > 0
      ? bad('TRIAL_TOO_SLOW', `no result within ${policy.deadlineMs} ms while ${samples.dropped} frames were dropped`)
      : PENDING;
  }
  if (frames < policy.minFrames && !samples.final) return PENDING;
  const patient = !samples.final && frames < policy.minFrames * PATIENCE;
  const slow = judgeLatency(samples, policy, patient);
  if (slow.verdict === 'bad') return slow;
  const agreement = judgeDetections(samples, policy, patient);
  if (agreement.verdict === 'bad') return agreement;
  if (slow.verdict === 'pending' || agreement.verdict === 'pending') return PENDING;
  return { verdict: 'good', reason: `${slow.reason}; ${agreement.reason}` };
}

/**
 * Both the median and the p95 over the limit: too slow. Only the p95: a single pause of a busy board looks the same in
 * few samples, so more are asked for before the p95 alone decides.
 */
function judgeLatency(samples: TrialSamples, policy: TrialPolicy, patient: boolean): TrialVerdict {
  if (samples.baselineMs.length < MIN_BASELINE) return { verdict: 'good', reason: 'no latency to compare with' };
  const ratioAt = (share: number) =>
    quantile(samples.candidateMs, share) / Math.max(quantile(samples.baselineMs, share), 1e-3);
  const [median, p95] = [ratioAt(0.5), ratioAt(0.95)];
  const figures = `latency × ${median.toFixed(2)} (median), × ${p95.toFixed(2)} (p95)`;
  if (p95 <= policy.maxLatencyRatio) return { verdict: 'good', reason: figures };
  if (median <= policy.maxLatencyRatio && patient) return PENDING;
  return bad('TRIAL_TOO_SLOW', `${figures} of the previous model; × ${policy.maxLatencyRatio} is allowed`);
}

function judgeDetections(samples: TrialSamples, policy: TrialPolicy, patient: boolean): TrialVerdict {
  let candidate = 0;
  let previous = 0;
  for (const pair of samples.comparisons) {
    candidate += pair.candidate;
    previous += pair.previous;
  }
  const figures = `${candidate} detections where the previous model had ${previous}`;
  if (candidate >= previous * policy.minDetectionRatio) return { verdict: 'good', reason: figures };
  if (previous >= MIN_PREVIOUS_DETECTIONS) {
    return bad('TRIAL_DISAGREES', `${figures}, on ${samples.comparisons.length} frames`);
  }
  return patient ? PENDING : { verdict: 'good', reason: `${figures}: too few to judge` };
}

function bad(code: InstallErrorCode, message: string): TrialVerdict {
  return { verdict: 'bad', code, message };
}
