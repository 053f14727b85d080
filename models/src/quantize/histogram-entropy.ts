import type { Range } from './arithmetic.js';
import { binEdge, HISTOGRAM_BINS, type Histogram } from './histogram.js';

const LEVELS = 256;
/** Thresholds tried lie this many bins apart: a 256th of the widest range. */
const STEP = 8;
/** What a bin that is empty on one side gets, so that the divergence stays finite; as in onnxruntime's calibrate.py. */
const SMOOTHING = 1e-4;

/**
 * The range [-t, t], cut to what was seen, that loses the least information: least Kullback-Leibler divergence between
 * the values clipped at t and the same in 256 levels. After S. Migacz, "8-bit Inference with TensorRT" (GTC 2017) and
 * onnxruntime's `get_entropy_threshold` (onnxruntime/python/tools/quantization/calibrate.py). Unlike there the threshold
 * is measured from 0 (not from the middle of the bins), all 256 unsigned levels count, and exact zeros do not.
 */
export function entropyRange(histogram: Histogram): Range {
  const { min, max } = histogram;
  if (histogram.width === 0) return { min: 0, max: 0 };
  // bins of the histogram that hold values; bin `zero` is the first one of values above 0
  const used = Math.floor(max / histogram.width) - histogram.first + 1;
  const end = Math.min(HISTOGRAM_BINS, used);
  const zero = -histogram.first;
  const widest = Math.max(zero, end - zero);
  let best = { divergence: Number.POSITIVE_INFINITY, from: 0, to: end };
  for (let threshold = widest; threshold > 0; threshold -= STEP) {
    const from = Math.max(0, zero - threshold);
    const to = Math.min(end, zero + threshold);
    // with a bin or less per level nothing is rounded and the divergence says nothing
    if (to - from < 2 * LEVELS) break;
    const divergence = clippedDivergence(histogram.counts.subarray(0, end), from, to);
    if (divergence < best.divergence) best = { divergence, from, to };
  }
  return {
    min: Math.max(min, binEdge(histogram, best.from)),
    max: Math.min(max, binEdge(histogram, best.to)),
  };
}

/** Divergence between `counts` clipped into [from, to) and the bins of [from, to) in 256 levels; infinite when empty. */
export function clippedDivergence(counts: Float64Array, from: number, to: number): number {
  const size = to - from;
  const clipped = counts.slice(from, to);
  for (let i = 0; i < from; i++) clipped[0] += counts[i];
  for (let i = to; i < counts.length; i++) clipped[size - 1] += counts[i];

  const sums = new Float64Array(LEVELS);
  const filled = new Float64Array(LEVELS);
  const levelOf = (i: number): number => Math.floor((i * LEVELS) / size);
  for (let i = 0; i < size; i++) {
    sums[levelOf(i)] += counts[from + i];
    if (clipped[i] > 0) filled[levelOf(i)]++;
  }
  const inLevels = Float64Array.from(clipped, (count, i) => (count > 0 ? sums[levelOf(i)] / filled[levelOf(i)] : 0));
  return divergenceOf(smoothed(clipped), smoothed(inLevels));
}

/** Moves a little from the filled bins to the empty ones; undefined when nothing, or too little, is filled. */
function smoothed(counts: Float64Array): Float64Array | undefined {
  const empty = counts.reduce((sum, count) => sum + (count > 0 ? 0 : 1), 0);
  const filled = counts.length - empty;
  const taken = (SMOOTHING * empty) / filled;
  if (filled === 0 || taken >= 1) return undefined;
  return counts.map((count) => (count > 0 ? Math.max(count - taken, SMOOTHING) : SMOOTHING));
}

/** Kullback-Leibler divergence of two unnormalised distributions of the same length, in nats. */
function divergenceOf(p: Float64Array | undefined, q: Float64Array | undefined): number {
  if (!p || !q) return Number.POSITIVE_INFINITY;
  const sum = (values: Float64Array): number => values.reduce((a, b) => a + b, 0);
  const [sumP, sumQ] = [sum(p), sum(q)];
  return p.reduce((total, value, i) => total + (value / sumP) * Math.log(value / sumP / (q[i] / sumQ)), 0);
}
