/** Bins kept per tensor: 16 KiB, whatever the number of pictures. */
export const HISTOGRAM_BINS = 2048;

/**
 * How often a tensor took which values. Bin `i` counts the values v with `floor(v / width) = first + i`; `width` is a
 * power of two, so 0 is always an edge and two neighbours merge exactly into one bin of twice the width. The bins are as
 * fine as `HISTOGRAM_BINS` of them allow over all values and 0, so the result does not depend on the order of the values.
 * Exact zeros are counted apart: every scale represents them without error (half of the values after a ReLU are zeros).
 */
export interface Histogram {
  /** 0 while nothing but zeros was seen. */
  width: number;
  first: number;
  counts: Float64Array;
  zeros: number;
  /** Extremes of what was seen, with 0 among it. */
  min: number;
  max: number;
}

export function makeHistogram(): Histogram {
  return { width: 0, first: 0, counts: new Float64Array(HISTOGRAM_BINS), zeros: 0, min: 0, max: 0 };
}

/** Narrower bins than this would leave float32's normal numbers. */
const SMALLEST_EXPONENT = -120;

/** Adds finite values with extremes `min` and `max`, in place. One pass over `values`. */
export function addValues(histogram: Histogram, values: Float32Array, min: number, max: number): void {
  cover(histogram, Math.min(min, histogram.min), Math.max(max, histogram.max));
  const { counts, first, width } = histogram;
  if (width === 0) {
    histogram.zeros += values.length;
    return;
  }
  const perWidth = 1 / width;
  let zeros = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (value === 0) zeros++;
    else counts[Math.floor(value * perWidth) - first]++;
  }
  histogram.zeros += zeros;
}

/** Widens the bins, as little as possible, until [min, max] fits. */
function cover(histogram: Histogram, min: number, max: number): void {
  histogram.min = min;
  histogram.max = max;
  if (max === min) return;
  const span = (width: number): number => Math.floor(max / width) - Math.floor(min / width);
  let exponent = Math.max(SMALLEST_EXPONENT, Math.floor(Math.log2((max - min) / HISTOGRAM_BINS)) - 1);
  while (2 ** exponent < histogram.width || span(2 ** exponent) >= HISTOGRAM_BINS) exponent++;
  const width = 2 ** exponent;
  const first = Math.floor(min / width);
  if (width === histogram.width && first === histogram.first) return;
  const counts = new Float64Array(HISTOGRAM_BINS);
  const ratio = histogram.width / width;
  for (let i = 0; i < HISTOGRAM_BINS; i++) {
    if (histogram.counts[i] > 0) counts[Math.floor((histogram.first + i) * ratio) - first] += histogram.counts[i];
  }
  Object.assign(histogram, { width, first, counts });
}

/** Lower edge of bin `i`; the upper edge is that of bin `i + 1`. */
export function binEdge(histogram: Histogram, i: number): number {
  return (histogram.first + i) * histogram.width;
}

/** Number of values seen, zeros among them. */
export function totalCount(histogram: Histogram): number {
  return histogram.counts.reduce((sum, count) => sum + count, histogram.zeros);
}
