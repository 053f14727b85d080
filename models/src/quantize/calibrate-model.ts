import type { ActivationParameters } from './arithmetic.js';
import { calibrate, type InputConstants } from './calibrate.js';
import { foldPixelScaling } from './fold-pixel-scaling.js';
import { indexGraph, pictureInput } from './graph-index.js';
import { decodeModel, encodeModel, type ModelProto } from './onnx-proto.js';
import { planQuantization } from './plan.js';
import { prepareForQuantization } from './prepare.js';
import type { CalibratedModel, PixelScaling } from './quantize-build.js';
import { QuantizeError } from './quantize-error.js';

export interface CalibrateOptions {
  scaling: PixelScaling;
  /** What the INT8 model takes. `auto` (when absent): the picture's bytes where they can be its input as they are. */
  inputType?: 'auto' | 'uint8' | 'float32';
  /** Values of the model's further inputs, by name. */
  constants?: InputConstants;
  /** Whether values are counted, for every method but min-max. */
  histograms?: boolean;
  onPicture?: (done: number) => void;
}

/** A float model ready for planning, and its one picture input. */
export interface PictureModel {
  model: ModelProto;
  notes: string[];
  name: string;
  width: number;
  height: number;
}

/**
 * Reads an FP32 detector and says what its one picture input is; `constants` names its other inputs.
 * Throws NOT_ONNX, OPSET_UNSUPPORTED, INPUT_UNSUPPORTED.
 */
export function readPictureModel(bytes: Uint8Array, constants: readonly string[] = []): PictureModel {
  let decoded: ModelProto;
  try {
    decoded = decodeModel(bytes);
  } catch (cause) {
    throw new QuantizeError('NOT_ONNX', `this is not an ONNX file (${String(cause)})`, { cause });
  }
  if (!decoded.graph?.node?.length) throw new QuantizeError('NOT_ONNX', 'this is not an ONNX file: it holds no graph');
  const { model, notes } = prepareForQuantization(decoded);
  const input = pictureInput(indexGraph(model.graph), constants);
  if ('problem' in input) throw new QuantizeError('INPUT_UNSUPPORTED', input.problem);
  return { model, notes, ...input };
}

/**
 * Prepares an FP32 model and runs it on the calibration pictures.
 * @param bytes an FP32 ONNX model with one input `[1, 3, H, W]`
 * @param pictures float32 input tensors `[1, 3, H, W]` (already scaled), in a fixed order; one buffer may be reused
 * @throws QuantizeError those of `readPictureModel`, NOTHING_TO_QUANTIZE, CALIBRATION_EMPTY, CALIBRATION_FAILED
 */
export async function calibrateModel(
  bytes: Uint8Array,
  pictures: AsyncIterable<Float32Array>,
  options: CalibrateOptions,
): Promise<CalibratedModel> {
  const { constants = {} } = options;
  const { model, notes, name, width, height } = readPictureModel(bytes, Object.keys(constants));
  let { scaling } = options;
  let stream = pictures;
  if (options.inputType === 'uint8' && !uint8InputParameters(scaling)) {
    notes.push(foldPixelScaling(model.graph, name, scaling));
    stream = asBytes(pictures, scaling);
    scaling = { mean: [0, 0, 0], std: [1, 1, 1] };
  }
  const uint8Input = options.inputType === 'float32' ? undefined : uint8InputParameters(scaling);
  const plan = planQuantization(indexGraph(model.graph));
  if (plan.convolutions.size === 0) {
    throw new QuantizeError(
      'NOTHING_TO_QUANTIZE',
      'no convolution with constant float32 weights was found in this model; give the FP32 export, not an FP16 or INT8 one',
    );
  }
  const floatBytes = encodeModel(model);
  const dims = [1, 3, height, width];
  const measured = [...plan.tensors].filter((tensor) => !(uint8Input && tensor === name));
  let count = 0;
  const statistics = await calibrate(floatBytes, name, dims, measured, stream, {
    histograms: options.histograms ?? false,
    constants,
    onPicture: (done) => {
      count = done;
      options.onPicture?.(done);
    },
  });
  if (count === 0)
    throw new QuantizeError('CALIBRATION_EMPTY', 'calibration needs at least one picture, and there was none');
  return {
    floatBytes,
    inputName: name,
    dims,
    constants,
    uint8Input,
    scaling,
    statistics,
    pictures: count,
    notes,
    bytesBefore: bytes.length,
  };
}

/** The bytes, as float, that scaled pictures were made from; the buffer is reused. */
export async function* asBytes(
  pictures: AsyncIterable<Float32Array>,
  { mean, std }: PixelScaling,
): AsyncGenerator<Float32Array> {
  let bytes = new Float32Array(0);
  for await (const picture of pictures) {
    if (bytes.length !== picture.length) bytes = new Float32Array(picture.length);
    const size = picture.length / 3;
    for (let i = 0; i < bytes.length; i++) {
      const channel = Math.floor(i / size);
      bytes[i] = Math.round(picture[i] * std[channel] + mean[channel]);
    }
    yield bytes;
  }
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
