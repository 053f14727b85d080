import '../runtime/onnx-session-telemetry.js';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { constantTensor } from '../runtime/onnx-session-engine.js';
import type { Range } from './arithmetic.js';
import { addValues, type Histogram, makeHistogram } from './histogram.js';
import { DataType, decodeModel, encodeModel } from './onnx-proto.js';
import { QuantizeError } from './quantize-error.js';

/** What calibration saw of one tensor. */
export interface TensorStatistics {
  /** The extremes of each picture, in the order of the pictures. */
  ranges: Range[];
  /** All values of all pictures; only where it was asked for. */
  histogram: Histogram | undefined;
}

/** Values of inputs beside the picture, by name, as in a manifest's `input.constants`. */
export type InputConstants = Readonly<Record<string, readonly number[]>>;

export interface CalibrationRun {
  /** Whether values are counted too (some 50 ms a picture); min-max does without. */
  histograms: boolean;
  constants?: InputConstants;
  onPicture?: (done: number) => void;
}

/**
 * Runs the FP32 model on every picture with all of `tensors` as extra outputs, and notes their extremes and, if asked,
 * how often which values came. Activations are read picture by picture and never kept.
 * @param pictures input tensors, each float32 `dims` row-major; may reuse one buffer
 * @throws QuantizeError CALIBRATION_FAILED when ONNX Runtime refuses the model, or an activation is not finite
 */
export async function calibrate(
  modelBytes: Uint8Array,
  inputName: string,
  dims: readonly number[],
  tensors: readonly string[],
  pictures: AsyncIterable<Float32Array>,
  { histograms, constants, onPicture }: CalibrationRun,
): Promise<Map<string, TensorStatistics>> {
  const seen = new Map(
    tensors.map((name): [string, TensorStatistics] => [
      name,
      { ranges: [], histogram: histograms ? makeHistogram() : undefined },
    ]),
  );
  const session = await openSession(withOutputs(modelBytes, tensors));
  try {
    const fixed = constantFeeds(session, constants);
    let done = 0;
    for await (const picture of pictures) {
      const results = await session.run({ ...fixed, [inputName]: new Tensor('float32', picture, dims) }, [...tensors]);
      for (const name of tensors) {
        const values = results[name].data as Float32Array;
        const range = extremes(values);
        if (!Number.isFinite(range.max - range.min)) {
          throw new QuantizeError(
            'CALIBRATION_FAILED',
            `tensor "${name}" is not finite on calibration picture ${done + 1}`,
          );
        }
        const { ranges, histogram } = seen.get(name)!;
        ranges.push(range);
        if (histogram) addValues(histogram, values, range.min, range.max);
      }
      done++;
      onPicture?.(done);
    }
  } finally {
    await session.release();
  }
  return seen;
}

/** What a session is fed beside the picture. */
export function constantFeeds(session: InferenceSession, constants: InputConstants = {}): Record<string, Tensor> {
  const feeds = Object.entries(constants).map(([name, values]) => [name, constantTensor(session, name, values)]);
  return Object.fromEntries(feeds);
}

/** The same model with `tensors` as further outputs, of float32 unless `elementType` says otherwise. */
export function withOutputs(
  modelBytes: Uint8Array,
  tensors: readonly string[],
  elementType: (tensor: string) => number = () => DataType.float,
): Uint8Array {
  const model = decodeModel(modelBytes);
  const present = new Set(model.graph.output.map((o) => o.name));
  model.graph.output = [
    ...model.graph.output,
    ...tensors
      .filter((name) => !present.has(name))
      .map((name) => ({ name, type: { tensorType: { elemType: elementType(name) } } })),
  ];
  return encodeModel(model);
}

/** A session for measuring, on all processors. Throws QuantizeError CALIBRATION_FAILED when ONNX Runtime refuses the model. */
export async function openSession(bytes: Uint8Array): Promise<InferenceSession> {
  return InferenceSession.create(bytes, { executionProviders: ['cpu'], logSeverityLevel: 3 }).catch(
    (cause: unknown) => {
      throw new QuantizeError('CALIBRATION_FAILED', `ONNX Runtime refuses the model: ${String(cause)}`, { cause });
    },
  );
}

/** Smallest and largest value; NaN anywhere gives a range that is not finite. */
function extremes(values: Float32Array): Range {
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  let sum = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (value < min) min = value;
    if (value > max) max = value;
    sum += value;
  }
  // comparisons pass over a NaN, the sum does not
  return Number.isNaN(sum) ? { min: Number.NaN, max: Number.NaN } : { min, max };
}
