import type { QuantizeTarget } from './arithmetic.js';
import { type CalibrationMethod, needsHistograms } from './calibrate-method.js';
import { type CalibrateOptions, calibrateModel } from './calibrate-model.js';
import { buildInt8, chooseRanges, type QuantizeReport } from './quantize-build.js';

export interface QuantizeOptions extends Omit<CalibrateOptions, 'histograms'> {
  target: QuantizeTarget;
  /** How ranges follow from what calibration saw; min-max when absent. */
  method?: CalibrationMethod;
  /** `minmax`: share of the calibration pictures whose extremes count, 0..1 (1: all). */
  quantile?: number;
  /** `percentile`: share of the values kept, in percent. */
  percentile?: number;
  /** Factor by which the measured ranges are widened, 1 or more; for pictures tamer than what the camera will see. */
  headroom?: number;
  /** Nodes left in float, by name (by their first output where they have none). */
  exclude?: ReadonlySet<string>;
}

/**
 * Static INT8 in QDQ form: u8 activations, s8 weights per output channel, int32 biases, scales from a calibration run.
 * Deterministic: the same model and pictures give the same bytes.
 * @param bytes an FP32 ONNX model with one input `[1, 3, H, W]`
 * @param pictures float32 input tensors `[1, 3, H, W]` (already scaled), in a fixed order; one buffer may be reused
 * @throws QuantizeError
 */
export async function quantizeOnnx(
  bytes: Uint8Array,
  pictures: AsyncIterable<Float32Array>,
  options: QuantizeOptions,
): Promise<{ bytes: Uint8Array; report: QuantizeReport }> {
  const { method = 'minmax', quantile, percentile, headroom, target, exclude, ...rest } = options;
  const calibrated = await calibrateModel(bytes, pictures, { ...rest, histograms: needsHistograms(method) });
  const built = buildInt8(calibrated, {
    target,
    exclude,
    ranges: chooseRanges(calibrated, { method, quantile, percentile, headroom }),
  });
  return { bytes: built.bytes, report: built.report };
}
