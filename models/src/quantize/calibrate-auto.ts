import type { CalibrationChoice, CalibrationMethod } from './calibrate-method.js';
import { floatOutputs, outputDecibels } from './max-drop-order.js';
import {
  type BuildOptions,
  buildInt8,
  type CalibratedModel,
  type ChosenRanges,
  chooseRanges,
} from './quantize-build.js';

/** Simplest first: a later one must be better by a margin to be taken. */
const CANDIDATES: readonly CalibrationMethod[] = ['minmax', 'percentile', 'entropy', 'mse'];
/** dB. Less is within what other held-out pictures would change. */
const MARGIN = 1;

export interface MethodScore {
  method: CalibrationMethod;
  /** Mean over the model's outputs of their signal to noise ratio on the held-out pictures, in dB. */
  score: number;
}

/**
 * Builds the INT8 model by each method and takes the one whose outputs come nearest to the float model's on held-out
 * pictures; min-max unless another is at least 1 dB better.
 * @param tensors some held-out pictures as the float model's input, each of its own memory
 */
export async function chooseMethod(
  calibrated: CalibratedModel,
  options: Omit<BuildOptions, 'ranges'>,
  choice: Omit<CalibrationChoice, 'method'>,
  tensors: readonly Float32Array[],
  onMethod?: (done: number, total: number) => void,
): Promise<{ ranges: ChosenRanges; methods: MethodScore[] }> {
  const exact = await floatOutputs(calibrated, tensors);
  const tried: (MethodScore & { ranges: ChosenRanges })[] = [];
  for (const method of CANDIDATES) {
    const ranges = chooseRanges(calibrated, { ...choice, method });
    const { bytes } = buildInt8(calibrated, { ...options, ranges });
    tried.push({ method, ranges, score: await outputDecibels(calibrated, bytes, tensors, exact) });
    onMethod?.(tried.length, CANDIDATES.length);
  }
  const best = tried.reduce((a, b) => (b.score > a.score ? b : a));
  const taken = best.score >= tried[0].score + MARGIN ? best : tried[0];
  return { ranges: taken.ranges, methods: tried.map(({ method, score }) => ({ method, score })) };
}
