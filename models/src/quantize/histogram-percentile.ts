import type { Range } from './arithmetic.js';
import { binEdge, HISTOGRAM_BINS, type Histogram, totalCount } from './histogram.js';

/**
 * The narrowest range of bin edges, with 0 inside, that loses on each side at most half of what `percent` (above 0, up
 * to 100) leaves over; never wider than what was seen. As onnxruntime's PercentileCalibrater with asymmetric ranges
 * does (onnxruntime/python/tools/quantization/calibrate.py, `compute_percentile`).
 */
export function percentileRange(histogram: Histogram, percent: number): Range {
  const { counts, min, max, zeros } = histogram;
  if (histogram.width === 0) return { min: 0, max: 0 };
  // a rounding slack of one part in 10^12, else 99.9 % of 1000 values would keep one too many
  const budget = totalCount(histogram) * ((100 - percent) / 200 + 1e-12);
  let lost = 0;
  let low = 0;
  while (low < HISTOGRAM_BINS && binEdge(histogram, low + 1) <= 0 && lost + counts[low] <= budget)
    lost += counts[low++];
  lost = 0;
  let high = HISTOGRAM_BINS;
  while (high > 0 && binEdge(histogram, high - 1) >= 0 && lost + counts[high - 1] <= budget) lost += counts[--high];
  const range = { min: Math.max(min, binEdge(histogram, low)), max: Math.min(max, binEdge(histogram, high)) };
  // a tensor that is 0 nearly always: clipping all the rest would lose what it says
  return range.max > range.min || zeros === 0 ? range : { min, max };
}
