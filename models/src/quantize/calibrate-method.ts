import type { Range } from './arithmetic.js';
import type { TensorStatistics } from './calibrate.js';
import { entropyRange } from './histogram-entropy.js';
import { meanSquaredErrorRange } from './histogram-mse.js';
import { percentileRange } from './histogram-percentile.js';

export const CALIBRATION_METHODS = ['minmax', 'percentile', 'entropy', 'mse'] as const;
export type CalibrationMethod = (typeof CALIBRATION_METHODS)[number];

/** How a tensor's range follows from what calibration saw of it. */
export interface CalibrationChoice {
  method: CalibrationMethod;
  /** `minmax`: share of the pictures whose extremes count, above 0 up to 1; 1 (all) when absent. */
  quantile?: number;
  /** `percentile`: share of the values kept, in percent; 99.99 when absent. */
  percentile?: number;
  /** Factor by which the range is widened, 1 or more; 1 when absent. For pictures tamer than what the camera will see. */
  headroom?: number;
}

export const DEFAULT_PERCENTILE = 99.99;

/** Whether `calibrate` must count values for this method. */
export function needsHistograms(method: CalibrationMethod): boolean {
  return method !== 'minmax';
}

/** The range of one tensor. */
export function chooseRange({ ranges, histogram }: TensorStatistics, choice: CalibrationChoice): Range {
  const headroom = choice.headroom ?? 1;
  const { min, max } = measuredRange();
  return { min: min * headroom, max: max * headroom };

  function measuredRange(): Range {
    if (choice.method === 'minmax' || histogram === undefined) return mergeRanges(ranges, choice.quantile ?? 1);
    if (choice.method === 'percentile') return percentileRange(histogram, choice.percentile ?? DEFAULT_PERCENTILE);
    return choice.method === 'entropy' ? entropyRange(histogram) : meanSquaredErrorRange(histogram);
  }
}

/**
 * One range per tensor from what each picture showed. `quantile` 1 takes the outermost values; less drops the most
 * extreme pictures on both sides, which trades clipping in rare pictures for finer steps in all others.
 */
function mergeRanges(ranges: readonly Range[], quantile: number): Range {
  const last = Math.ceil(quantile * ranges.length) - 1;
  const mins = ranges.map((r) => r.min).sort((a, b) => b - a);
  const maxs = ranges.map((r) => r.max).sort((a, b) => a - b);
  return { min: mins[last], max: maxs[last] };
}

/** `percentile 99.99, headroom 1.3`: for reports and metadata. */
export function describeChoice({ method, quantile, percentile, headroom }: CalibrationChoice): string {
  const parts = [method === 'percentile' ? `percentile ${percentile ?? DEFAULT_PERCENTILE}` : method];
  if (method === 'minmax' && quantile !== undefined && quantile !== 1) parts.push(`quantile ${quantile}`);
  if (headroom !== undefined && headroom !== 1) parts.push(`headroom ${headroom}`);
  return parts.join(', ');
}
