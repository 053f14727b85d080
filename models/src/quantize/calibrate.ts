import '../runtime/onnx-session-telemetry.js';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { Range } from './arithmetic.js';
import { DataType, decodeModel, encodeModel } from './onnx-proto.js';
import { QuantizeError } from './quantize-error.js';

/** What calibration saw of one tensor: the extremes of each picture, in the order of the pictures. */
export type SeenRanges = Map<string, Range[]>;

/**
 * Runs the FP32 model on every picture with all of `tensors` as extra outputs, and notes their extremes.
 * @param pictures input tensors, each float32 `dims` row-major; may reuse one buffer
 * @throws QuantizeError CALIBRATION_FAILED when ONNX Runtime refuses the model, or an activation is not finite
 */
export async function calibrate(
  modelBytes: Uint8Array,
  inputName: string,
  dims: number[],
  tensors: readonly string[],
  pictures: AsyncIterable<Float32Array>,
  onPicture: (done: number) => void,
): Promise<SeenRanges> {
  const model = decodeModel(modelBytes);
  const present = new Set(model.graph.output.map((o) => o.name));
  model.graph.output = [
    ...model.graph.output,
    ...tensors
      .filter((n) => !present.has(n))
      .map((name) => ({ name, type: { tensorType: { elemType: DataType.float } } })),
  ];
  const session = await InferenceSession.create(encodeModel(model), { executionProviders: ['cpu'] }).catch(
    (cause: unknown) => {
      throw new QuantizeError('CALIBRATION_FAILED', `ONNX Runtime refuses the FP32 model: ${String(cause)}`, { cause });
    },
  );
  const seen: SeenRanges = new Map(tensors.map((name) => [name, []]));
  try {
    let done = 0;
    for await (const picture of pictures) {
      const results = await session.run({ [inputName]: new Tensor('float32', picture, dims) }, [...tensors]);
      for (const name of tensors) {
        const range = extremes(results[name].data as Float32Array);
        if (!Number.isFinite(range.max - range.min)) {
          throw new QuantizeError(
            'CALIBRATION_FAILED',
            `tensor "${name}" is not finite on calibration picture ${done + 1}`,
          );
        }
        seen.get(name)!.push(range);
      }
      onPicture(++done);
    }
  } finally {
    await session.release();
  }
  return seen;
}

function extremes(values: Float32Array): Range {
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (value < min) min = value;
    if (value > max) max = value;
  }
  return { min, max };
}

/**
 * One range per tensor from what each picture showed. `quantile` 1 takes the outermost values; less drops the most
 * extreme pictures on both sides, which trades clipping in rare pictures for finer steps in all others.
 */
export function mergeRanges(ranges: readonly Range[], quantile: number): Range {
  const last = Math.ceil(quantile * ranges.length) - 1;
  const mins = ranges.map((r) => r.min).sort((a, b) => b - a);
  const maxs = ranges.map((r) => r.max).sort((a, b) => a - b);
  return { min: mins[last], max: maxs[last] };
}
