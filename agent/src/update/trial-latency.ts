import type { TrialPolicy } from '@vigie/protocol';
import { quantile } from './quantile.js';

/** Times in the child, ms. */
export interface TrialTimes {
  /** Previous model, live, before the swap. */
  baseline: readonly number[];
  /** Candidate, live, while no other child had a frame. */
  alone: readonly number[];
  /** Candidate, live, while the previous model had a frame too. */
  beside: readonly number[];
  /** Previous model, warm, on the compared frames. */
  warm: readonly number[];
}

/** Fewer times than this are no yardstick, and none to be measured by. */
export const MIN_TIMES = 8;

export type LatencyJudgement = { verdict: 'pending' | 'fine' | 'slow'; figures: string };

/**
 * Latency of the candidate over the previous model's on this board, under the same conditions: alone against alone (the
 * previous model before the swap). Where a small board hardly ever gives the candidate a frame for itself, both beside the other.
 *
 * Both the median and the p95 over the limit: too slow. Only the p95: a single pause of a busy board looks the same in few
 * samples, so more are asked for (`patient`). Then it counts, unless the previous model's p95 in that very time rose with it:
 * a board that is held back by a quota or by other work makes pauses that are nobody's fault.
 */
export function judgeLatency(
  times: TrialTimes,
  { maxLatencyRatio, minFrames }: Pick<TrialPolicy, 'maxLatencyRatio' | 'minFrames'>,
  patient: boolean,
): LatencyJudgement {
  // Who wants a verdict on three frames gets one.
  const pair = yardstick(times, Math.min(MIN_TIMES, minFrames));
  if (pair === null) {
    const hopeless = times.baseline.length < MIN_TIMES && times.warm.length === 0;
    return { verdict: patient && !hopeless ? 'pending' : 'fine', figures: 'no latency to compare with' };
  }
  const ratioAt = (share: number) => quantile(pair.candidate, share) / Math.max(quantile(pair.previous, share), 1e-3);
  const [median, p95] = [ratioAt(0.5), ratioAt(0.95)];
  const figures = `latency × ${median.toFixed(2)} (median), × ${p95.toFixed(2)} (p95) of the previous model's ${pair.how}`;
  if (p95 <= maxLatencyRatio) return { verdict: 'fine', figures };
  if (median <= maxLatencyRatio && patient) return { verdict: 'pending', figures };
  if (median <= maxLatencyRatio && times.warm.length >= MIN_TIMES) {
    const meanwhile = quantile(pair.candidate, 0.95) / Math.max(quantile(times.warm, 0.95), 1e-3);
    const told = `${figures}, × ${meanwhile.toFixed(2)} of its p95 in the same time`;
    if (meanwhile <= maxLatencyRatio) return { verdict: 'fine', figures: told };
  }
  return { verdict: 'slow', figures: `${figures}; × ${maxLatencyRatio} is allowed` };
}

/** `wanted`: times of the candidate that are enough. */
function yardstick(times: TrialTimes, wanted: number) {
  const { baseline, alone, beside, warm } = times;
  if (alone.length >= wanted && baseline.length >= MIN_TIMES) {
    return { candidate: alone, previous: baseline, how: 'before the swap' };
  }
  if (beside.length >= wanted && warm.length >= MIN_TIMES) {
    return { candidate: beside, previous: warm, how: 'while both were at work' };
  }
  return null;
}
