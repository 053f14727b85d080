import { normalQuantile, studentQuantile } from './statistics-distributions.js';

/** What two things gave under the same circumstances: the same frame, the same device before and after, the same run. */
export interface Pair {
  candidate: number;
  reference: number;
}

/** An estimate and where the truth lies with this confidence (0..1, two-sided). `n` is what it was made of. */
export interface Interval {
  estimate: number;
  low: number;
  high: number;
  confidence: number;
  n: number;
}

/**
 * Percentile by linear interpolation between closest ranks (Hyndman & Fan type 7, the default of NumPy and R).
 * `share` is 0..1. NaN for no samples: no data must never read as zero.
 */
export function percentile(samples: readonly number[], share: number): number {
  if (samples.length === 0) return Number.NaN;
  return percentileOfSorted(Float64Array.from(samples).sort(), share);
}

/** The same of samples that are sorted already. */
export function percentileOfSorted(sorted: Float64Array, share: number): number {
  if (sorted.length === 0) return Number.NaN;
  const rank = share * (sorted.length - 1);
  const below = Math.floor(rank);
  return sorted[below] + (sorted[Math.ceil(rank)] - sorted[below]) * (rank - below);
}

/** NaN for no samples. */
export function mean(samples: readonly number[]): number {
  if (samples.length === 0) return Number.NaN;
  let sum = 0;
  for (const sample of samples) sum += sample;
  return sum / samples.length;
}

/** Sample variance (n - 1 below); NaN for fewer than two. */
export function variance(samples: readonly number[]): number {
  if (samples.length < 2) return Number.NaN;
  const middle = mean(samples);
  let sum = 0;
  for (const sample of samples) sum += (sample - middle) ** 2;
  return sum / (samples.length - 1);
}

/** Mean with Student's t interval. Null for fewer than two samples, or one that is not finite. */
export function meanInterval(samples: readonly number[], confidence: number): Interval | null {
  checkConfidence(confidence);
  if (samples.length < 2 || samples.some((sample) => !Number.isFinite(sample))) return null;
  const estimate = mean(samples);
  const reach =
    studentQuantile((1 + confidence) / 2, samples.length - 1) * Math.sqrt(variance(samples) / samples.length);
  return bounded({ estimate, low: estimate - reach, high: estimate + reach, confidence, n: samples.length });
}

/**
 * Geometric mean of candidate / reference with its interval: Student's t on the logarithms of the paired ratios, since
 * ratios scatter multiplicatively (D. G. Altman and J. M. Bland, "Comparing several groups… Logarithmic transformation", BMJ 1996).
 * Null where that cannot be said: fewer than two pairs, or a value that is not finite and above zero.
 */
export function pairedRatio(pairs: readonly Pair[], confidence: number): Interval | null {
  checkConfidence(confidence);
  const usable = (value: number) => Number.isFinite(value) && value > 0;
  if (pairs.some(({ candidate, reference }) => !usable(candidate) || !usable(reference))) return null;
  const logs = meanInterval(
    pairs.map(({ candidate, reference }) => Math.log(candidate) - Math.log(reference)),
    confidence,
  );
  if (logs === null) return null;
  return bounded({ ...logs, estimate: Math.exp(logs.estimate), low: Math.exp(logs.low), high: Math.exp(logs.high) });
}

/** Mean of candidate - reference with Student's t interval; for figures that may be zero. Null as `meanInterval`. */
export function pairedDifference(pairs: readonly Pair[], confidence: number): Interval | null {
  return meanInterval(
    pairs.map(({ candidate, reference }) => candidate - reference),
    confidence,
  );
}

/**
 * mean(candidate) - mean(reference) of two groups that have nothing to do with each other: Welch's interval
 * (B. L. Welch, Biometrika 34, 1947; degrees of freedom after Welch and Satterthwaite). Null as `meanInterval`, for either group.
 */
export function unpairedDifference(
  candidate: readonly number[],
  reference: readonly number[],
  confidence: number,
): Interval | null {
  checkConfidence(confidence);
  if (candidate.length < 2 || reference.length < 2) return null;
  if ([...candidate, ...reference].some((sample) => !Number.isFinite(sample))) return null;
  const a = variance(candidate) / candidate.length;
  const b = variance(reference) / reference.length;
  const estimate = mean(candidate) - mean(reference);
  const n = candidate.length + reference.length;
  if (a + b === 0) return { estimate, low: estimate, high: estimate, confidence, n };
  const freedom = (a + b) ** 2 / (a ** 2 / (candidate.length - 1) + b ** 2 / (reference.length - 1));
  const reach = studentQuantile((1 + confidence) / 2, freedom) * Math.sqrt(a + b);
  return bounded({ estimate, low: estimate - reach, high: estimate + reach, confidence, n });
}

/** A share of `total` with Wilson's score interval (E. B. Wilson, JASA 22, 1927). Null for a total of zero. */
export function shareInterval(count: number, total: number, confidence: number): Interval | null {
  checkConfidence(confidence);
  if (!(total > 0) || count < 0 || count > total) return null;
  const z = normalQuantile((1 + confidence) / 2);
  const estimate = count / total;
  const below = 1 + (z * z) / total;
  const middle = (estimate + (z * z) / (2 * total)) / below;
  const reach = (z / below) * Math.sqrt((estimate * (1 - estimate)) / total + (z * z) / (4 * total * total));
  return { estimate, low: Math.max(0, middle - reach), high: Math.min(1, middle + reach), confidence, n: total };
}

/** Null where the samples are so large that the arithmetic left the numbers: unknown, not infinite. */
function bounded(interval: Interval): Interval | null {
  return [interval.estimate, interval.low, interval.high].every(Number.isFinite) ? interval : null;
}

/** Throws RangeError outside 0..1 exclusive: a confidence is checked where a policy is made, so this is a bug. */
export function checkConfidence(confidence: number): void {
  if (!(confidence > 0 && confidence < 1)) throw new RangeError(`confidence: ${confidence} is not between 0 and 1`);
}
