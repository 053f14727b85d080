/** The smallest sample that at least `share` (0..1) of all samples do not exceed (nearest rank); 0 for none. */
export function quantile(samples: readonly number[], share: number): number {
  if (samples.length === 0) return 0;
  const sorted = Float64Array.from(samples).sort();
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
}
