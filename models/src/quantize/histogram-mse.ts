import { type ActivationParameters, activationParameters, type Range } from './arithmetic.js';
import { HISTOGRAM_BINS, type Histogram } from './histogram.js';

/** Shares of the outermost value tried as the end of the range. Below a twentieth nearly everything would be clipped. */
const NARROWEST = 0.05;
/** Shares tried on each side in the first round, and in each finer one around the best pair so far. */
const COARSE_STEPS = 24;
const FINE_STEPS = 9;
const FINE_ROUNDS = 2;

/**
 * The range whose u8 levels reproduce the values with the least mean squared error, clipping and rounding together: all
 * pairs of ends on a grid, then finer ones around the best. A search over scales as in Nagel et al., "A White Paper on
 * Neural Network Quantization" (arXiv:2106.08295), section 3.1.
 */
export function meanSquaredErrorRange(histogram: Histogram): Range {
  if (histogram.width === 0) return { min: 0, max: 0 };
  const rangeOf = (low: number, high: number): Range => ({ min: histogram.min * low, max: histogram.max * high });
  let best = { low: 1, high: 1, error: squaredError(histogram, activationParameters(rangeOf(1, 1))) };
  const tryAll = (lows: readonly number[], highs: readonly number[]): void => {
    for (const high of highs) {
      for (const low of lows) {
        const error = squaredError(histogram, activationParameters(rangeOf(low, high)));
        if (error < best.error) best = { low, high, error };
      }
    }
  };
  let step = (1 - NARROWEST) / (COARSE_STEPS - 1);
  // an end at 0 has nothing to search
  const sharesFor = (end: number, shares: readonly number[]): readonly number[] => (end === 0 ? [1] : shares);
  const coarse = Array.from({ length: COARSE_STEPS }, (_, i) => 1 - i * step);
  tryAll(sharesFor(histogram.min, coarse), sharesFor(histogram.max, coarse));
  for (let round = 0; round < FINE_ROUNDS; round++) {
    const around = (centre: number): number[] =>
      Array.from({ length: FINE_STEPS }, (_, i) => Math.min(1, centre + (2 * step * i) / (FINE_STEPS - 1) - step));
    tryAll(sharesFor(histogram.min, around(best.low)), sharesFor(histogram.max, around(best.high)));
    step *= 2 / (FINE_STEPS - 1);
  }
  return rangeOf(best.low, best.high);
}

/**
 * Mean squared distance of the values from their levels, times their number, with the values spread evenly in their bins
 * (where a range is cut down to a few bins per level, the bins' middles alone would say little).
 */
export function squaredError(histogram: Histogram, { scale, zeroPoint }: ActivationParameters): number {
  const { counts, first } = histogram;
  const low = -zeroPoint;
  const high = 255 - zeroPoint;
  const width = histogram.width / scale;
  // antiderivative of (u − nearest level of u)², u in units of the scale: each level's whole cell adds 1/12
  const antiderivative = (u: number): number => {
    let level = Math.round(u);
    if (level < low) level = low;
    else if (level > high) level = high;
    const rest = u - level;
    return level / 12 + (rest * rest * rest) / 3;
  };
  let sum = 0;
  let below = antiderivative(first * width);
  for (let i = 0; i < HISTOGRAM_BINS; i++) {
    const above = antiderivative((first + i + 1) * width);
    if (counts[i] > 0) sum += counts[i] * (above - below);
    below = above;
  }
  return (sum / width) * scale * scale;
}
