/** Order statistics over samples in one unit, usually ms. */
export interface Percentiles {
  p50: number;
  p95: number;
  p99: number;
}

/**
 * Percentile by linear interpolation between closest ranks (Hyndman & Fan type 7, the default of NumPy and R).
 * `share` is 0..1. NaN for no samples: no data must never read as zero.
 */
export function percentile(samples: readonly number[], share: number): number {
  if (samples.length === 0) return Number.NaN;
  const sorted = Float64Array.from(samples).sort();
  const rank = share * (sorted.length - 1);
  const below = Math.floor(rank);
  const above = Math.ceil(rank);
  return sorted[below] + (sorted[above] - sorted[below]) * (rank - below);
}

/** p50, p95 and p99 of the same samples. */
export function percentiles(samples: readonly number[]): Percentiles {
  return { p50: percentile(samples, 0.5), p95: percentile(samples, 0.95), p99: percentile(samples, 0.99) };
}

/** The middle sample, or the mean of the two middle ones. */
export function median(samples: readonly number[]): number {
  return percentile(samples, 0.5);
}
