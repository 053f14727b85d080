import { type InferenceSession, Tensor } from 'onnxruntime-node';
import { ACTIVATION_TYPE, type ActivationParameters, quantizeConvWeights, WEIGHT_LIMIT } from './arithmetic.js';
import { constantFeeds, openSession, withOutputs } from './calibrate.js';
import {
  addNoise,
  combinedDecibels,
  decibels,
  type LayerQuality,
  type LayerReport,
  type NoiseSums,
  worstFirst,
} from './layer-report.js';
import { DataType, decodeModel } from './onnx-proto.js';
import type { BuiltModel, CalibratedModel, QuantizedLayer } from './quantize-build.js';

/** Float input tensors of the model; may reuse one buffer. */
export type Pictures = AsyncIterable<Float32Array>;

interface TensorSums {
  own: NoiseSums;
  all: NoiseSums | undefined;
  clipped: number;
  count: number;
}

/**
 * Measures an INT8 model against the float one it was made from, tensor by tensor: one run of each per picture, with all
 * 8-bit tensors as outputs. Activations are read picture by picture and never kept.
 * @param measuredOn what the pictures are, for the report
 * @throws QuantizeError CALIBRATION_FAILED when ONNX Runtime refuses one of the models
 */
export async function measureLayers(
  calibrated: CalibratedModel,
  built: BuiltModel,
  pictures: Pictures,
  measuredOn: string,
  onPicture?: (done: number) => void,
): Promise<LayerReport> {
  const int8Graph = decodeModel(built.bytes).graph;
  const produced = new Set(int8Graph.node.flatMap((node) => node.output));
  const outputs = decodeModel(calibrated.floatBytes).graph.output.map(({ name }) => name);
  const names = [...built.parameters.keys()].filter((name) => name !== calibrated.inputName);
  const bytesOf = new Map(names.filter((n) => produced.has(`${n}_quantized`)).map((n) => [`${n}_quantized`, n]));
  const type = ACTIVATION_TYPE[built.report.target] === 'int8' ? DataType.int8 : DataType.uint8;

  const float = await openSession(withOutputs(calibrated.floatBytes, names));
  const int8 = await openSession(withOutputs(built.bytes, [...bytesOf.keys()], () => type)).catch(async (error) => {
    await float.release();
    throw error;
  });
  const sums = new Map(names.map((name) => [name, emptySums(produced.has(`${name}_quantized`))]));
  const outputSums = outputs.map((): NoiseSums => ({ signal: 0, noise: 0 }));
  let done = 0;
  try {
    for await (const picture of pictures) {
      const exact = await float.run(floatFeeds(calibrated, float, picture), [...new Set([...names, ...outputs])]);
      const rough = await int8.run(int8Feeds(calibrated, int8, picture), [...new Set([...bytesOf.keys(), ...outputs])]);
      for (const name of names) {
        const tensor = sums.get(name)!;
        const values = exact[name].data as Float32Array;
        const parameters = built.parameters.get(name)!;
        addOwn(tensor, values, parameters);
        const bytes = rough[`${name}_quantized`]?.data as Uint8Array | Int8Array | undefined;
        if (tensor.all && bytes?.length === values.length) addNoise(tensor.all, values, realValues(bytes, parameters));
      }
      for (const [i, name] of outputs.entries()) {
        addNoise(outputSums[i], exact[name].data as Float32Array, rough[name].data as Float32Array);
      }
      done++;
      onPicture?.(done);
    }
  } finally {
    await float.release();
    await int8.release();
  }
  const tensors = names.map((name) => {
    const { own, all, clipped, count } = sums.get(name)!;
    const { scale, zeroPoint } = built.parameters.get(name)!;
    return {
      name,
      min: -zeroPoint * scale,
      max: (255 - zeroPoint) * scale,
      scale,
      zeroPoint,
      clipped: count === 0 ? 0 : clipped / count,
      ownSqnr: decibels(own),
      sqnr: all && decibels(all),
    };
  });
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  const layers = built.layers.map((layer): LayerQuality => {
    const result = byName.get(layer.output);
    const weightSqnr = weightDecibels(layer, built);
    const ownSqnr = result ? combinedDecibels(weightSqnr, result.ownSqnr) : weightSqnr;
    return { name: layer.name, output: layer.output, weightSqnr, ownSqnr, sqnr: result?.sqnr };
  });
  return {
    pictures: done,
    measuredOn,
    outputs: outputs.map((name, i) => ({ name, sqnr: decibels(outputSums[i]) })),
    layers: worstFirst(layers),
    tensors: worstFirst(tensors),
  };
}

/** The INT8 model's input from the float one's: bytes again where it takes bytes. */
export function int8Feeds(
  calibrated: CalibratedModel,
  session: InferenceSession,
  picture: Float32Array,
): Record<string, Tensor> {
  const { inputName, dims, uint8Input, constants } = calibrated;
  const input = session.inputMetadata.find(({ name }) => name === inputName);
  if (!uint8Input || !input?.isTensor || input.type !== 'uint8') return floatFeeds(calibrated, session, picture);
  const { scale, zeroPoint } = uint8Input;
  // the scaling is exact in bytes, so that rounding gives back what the picture was
  const bytes = Uint8Array.from(picture, (value) => Math.round(value / scale + zeroPoint));
  return { ...constantFeeds(session, constants), [inputName]: new Tensor('uint8', bytes, dims) };
}

export function floatFeeds(
  { inputName, dims, constants }: CalibratedModel,
  session: InferenceSession,
  picture: Float32Array,
): Record<string, Tensor> {
  return { ...constantFeeds(session, constants), [inputName]: new Tensor('float32', picture, dims) };
}

function emptySums(hasBytes: boolean): TensorSums {
  const none = (): NoiseSums => ({ signal: 0, noise: 0 });
  return { own: none(), all: hasBytes ? none() : undefined, clipped: 0, count: 0 };
}

function addOwn(sums: TensorSums, values: Float32Array, { scale, zeroPoint }: ActivationParameters): void {
  let { signal, noise } = sums.own;
  let clipped = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    let level = Math.round(value / scale);
    if (level < -zeroPoint || level > 255 - zeroPoint) {
      level = level < 0 ? -zeroPoint : 255 - zeroPoint;
      clipped++;
    }
    const error = value - level * scale;
    signal += value * value;
    noise += error * error;
  }
  Object.assign(sums.own, { signal, noise });
  sums.clipped += clipped;
  sums.count += values.length;
}

function realValues(bytes: Uint8Array | Int8Array, { scale, zeroPoint }: ActivationParameters): Float32Array {
  const zero = bytes instanceof Int8Array ? zeroPoint - 128 : zeroPoint;
  return Float32Array.from(bytes, (level) => (level - zero) * scale);
}

function weightDecibels({ weights, channels, bias, input }: QuantizedLayer, built: BuiltModel): number {
  const inputScale = built.parameters.get(input)?.scale ?? 1;
  const { values, scales } = quantizeConvWeights(
    weights,
    channels,
    bias,
    inputScale,
    WEIGHT_LIMIT[built.report.target],
  );
  const perChannel = weights.length / channels;
  const sums: NoiseSums = { signal: 0, noise: 0 };
  addNoise(
    sums,
    weights,
    Float64Array.from(values, (level, i) => level * scales[Math.floor(i / perChannel)]),
  );
  return decibels(sums);
}
