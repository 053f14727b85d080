import {
  type ActivationParameters,
  activationParameters,
  type QuantizeTarget,
  type Range,
  WEIGHT_LIMIT,
} from './arithmetic.js';
import { calibrate, mergeRanges, type SeenRanges } from './calibrate.js';
import { type GraphIndex, indexGraph, pictureInput } from './graph-index.js';
import { decodeModel, encodeModel, int64ToNumber, type ModelProto } from './onnx-proto.js';
import { planQuantization, type QuantizationPlan } from './plan.js';
import { QuantizeError } from './quantize-error.js';
import { rewriteToQdq } from './rewrite.js';

/** How a picture's bytes 0..255 become the FP32 model's input: (byte − mean) / std per channel, in tensor order. */
export interface PixelScaling {
  mean: readonly number[];
  std: readonly number[];
}

export interface QuantizeOptions {
  target: QuantizeTarget;
  scaling: PixelScaling;
  /** Share of the calibration pictures whose extremes count, 0..1 (1: min-max). */
  quantile?: number;
  /** Factor by which the measured ranges are widened, 1 or more; for pictures tamer than what the camera will see. */
  headroom?: number;
  onPicture?: (done: number) => void;
}

export interface QuantizeReport {
  target: QuantizeTarget;
  pictures: number;
  /** `uint8` when the model takes the picture's bytes as they are, `float32` when they must be scaled before. */
  inputType: 'uint8' | 'float32';
  convolutions: number;
  /** Convolutions left in float, by node name. */
  floatConvolutions: string[];
  quantizedTensors: number;
  bytesBefore: number;
  bytesAfter: number;
}

/** Per-axis QuantizeLinear came with opset 13; the newest opset this was tried with is 20. */
const OPSETS = { oldest: 13, newest: 20 };

/** Reads an FP32 detector and says what its one picture input is. Throws NOT_ONNX, OPSET_UNSUPPORTED, INPUT_UNSUPPORTED. */
export function readPictureModel(bytes: Uint8Array): {
  model: ModelProto;
  index: GraphIndex;
  name: string;
  width: number;
  height: number;
} {
  let model: ModelProto;
  try {
    model = decodeModel(bytes);
  } catch (cause) {
    throw new QuantizeError('NOT_ONNX', `this is not an ONNX file (${String(cause)})`, { cause });
  }
  if (!model.graph?.node?.length) throw new QuantizeError('NOT_ONNX', 'this is not an ONNX file: it holds no graph');
  const opset = int64ToNumber(model.opsetImport.find((o) => !o.domain || o.domain === 'ai.onnx')?.version);
  if (opset < OPSETS.oldest || opset > OPSETS.newest) {
    throw new QuantizeError(
      'OPSET_UNSUPPORTED',
      `the model uses opset ${opset}; ${OPSETS.oldest} to ${OPSETS.newest} can be quantized. Export it again with opset ${OPSETS.oldest}`,
    );
  }
  const index = indexGraph(model.graph);
  const input = pictureInput(index);
  if ('problem' in input) throw new QuantizeError('INPUT_UNSUPPORTED', input.problem);
  return { model, index, ...input };
}

/**
 * Static INT8 in QDQ form: u8 activations, s8 weights per output channel, int32 biases, scales from a calibration run.
 * Deterministic: the same model and pictures give the same bytes.
 * @param bytes an FP32 ONNX model, opset 13 or newer, one input `[1, 3, H, W]`, BatchNorm folded into its convolutions
 * @param pictures float32 input tensors `[1, 3, H, W]` (already scaled), in a fixed order; one buffer may be reused
 */
export async function quantizeOnnx(
  bytes: Uint8Array,
  pictures: AsyncIterable<Float32Array>,
  options: QuantizeOptions,
): Promise<{ bytes: Uint8Array; report: QuantizeReport }> {
  const { model, index, name, width, height } = readPictureModel(bytes);
  const plan = planQuantization(index);
  if (plan.convolutions.size === 0) {
    throw new QuantizeError(
      'NOTHING_TO_QUANTIZE',
      'no convolution with constant float weights was found in this model',
    );
  }
  const fixedInput = uint8InputParameters(options.scaling);
  const measured = [...plan.tensors].filter((tensor) => !(fixedInput && tensor === name));
  let count = 0;
  const seen = await calibrate(bytes, name, [1, 3, height, width], measured, pictures, (done) => {
    count = done;
    options.onPicture?.(done);
  });
  if (count === 0)
    throw new QuantizeError('CALIBRATION_EMPTY', 'calibration needs at least one picture, and there was none');

  const parameters = groupParameters(plan, seen, options.quantile ?? 1, options.headroom ?? 1);
  if (fixedInput) {
    plan.tensors.add(name);
    plan.leader.set(name, plan.leader.get(name) ?? name);
    parameters.set(plan.leader.get(name)!, fixedInput);
  }
  rewriteToQdq(index, plan, parameters, {
    weightLimit: WEIGHT_LIMIT[options.target],
    uint8Input: fixedInput ? name : undefined,
  });
  model.producerName = 'vigie-models quantize';
  model.metadataProps = [
    ...(model.metadataProps ?? []).filter((p) => !p.key.startsWith('vigie.')),
    { key: 'vigie.quantize.target', value: options.target },
    { key: 'vigie.quantize.pictures', value: String(count) },
  ];
  const out = encodeModel(model);
  return {
    bytes: out,
    report: {
      target: options.target,
      pictures: count,
      inputType: fixedInput ? 'uint8' : 'float32',
      convolutions: plan.convolutions.size,
      floatConvolutions: plan.floatConvolutions,
      quantizedTensors: plan.tensors.size,
      bytesBefore: bytes.length,
      bytesAfter: out.length,
    },
  };
}

/**
 * When every channel is scaled alike and the mean is a byte, the scaling *is* a dequantization: real = (byte − mean) / std.
 * The zero point also makes the padding of the first convolution exact, which folding a mean into its bias would not.
 */
function uint8InputParameters({ mean, std }: PixelScaling): ActivationParameters | undefined {
  const alike = mean.every((m) => m === mean[0]) && std.every((s) => s === std[0]);
  if (!alike || !Number.isInteger(mean[0]) || mean[0] < 0 || mean[0] > 255) return undefined;
  return { scale: 1 / std[0], zeroPoint: mean[0] };
}

function groupParameters(
  plan: QuantizationPlan,
  seen: SeenRanges,
  quantile: number,
  headroom: number,
): Map<string, ActivationParameters> {
  const ranges = new Map<string, Range>();
  for (const [tensor, list] of seen) {
    const range = mergeRanges(list, quantile);
    const leader = plan.leader.get(tensor)!;
    const before = ranges.get(leader) ?? range;
    ranges.set(leader, { min: Math.min(before.min, range.min), max: Math.max(before.max, range.max) });
  }
  const widened = ({ min, max }: Range): Range => ({ min: min * headroom, max: max * headroom });
  return new Map([...ranges].map(([leader, range]) => [leader, activationParameters(widened(range))]));
}
