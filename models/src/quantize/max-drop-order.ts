import { openSession } from './calibrate.js';
import { addNoise, decibels, type NoiseSums } from './layer-report.js';
import { floatFeeds, int8Feeds, type Pictures } from './layer-report-measure.js';
import { decodeModel } from './onnx-proto.js';
import { type BuildOptions, buildInt8, type CalibratedModel } from './quantize-build.js';

export interface LayerSensitivity {
  name: string;
  /** Mean over the model's outputs of their signal to noise ratio, in dB, when this layer alone computes in INT8. */
  sqnr: number;
}

/**
 * How much each INT8 layer harms the model's outputs by itself, worst first: one model per layer in which only that layer
 * computes in INT8. `tensors` holds a few pictures as float input tensors, each of its own memory.
 */
export async function rankLayers(
  calibrated: CalibratedModel,
  options: BuildOptions,
  tensors: readonly Float32Array[],
  onLayer?: (done: number, total: number) => void,
): Promise<LayerSensitivity[]> {
  const already = options.exclude ?? new Set<string>();
  const layers = buildInt8(calibrated, options).layers.map(({ name }) => name);
  const exact = await floatOutputs(calibrated, tensors);
  const ranked: LayerSensitivity[] = [];
  for (const name of layers) {
    const others = layers.filter((other) => other !== name);
    const built = buildInt8(calibrated, { ...options, exclude: new Set([...already, ...others]) });
    ranked.push({ name, sqnr: await outputDecibels(calibrated, built.bytes, tensors, exact) });
    onLayer?.(ranked.length, layers.length);
  }
  return ranked.sort((a, b) => a.sqnr - b.sqnr);
}

/** Mean over the outputs of their signal to noise ratio against the float model, in dB. */
export async function outputDecibels(
  calibrated: CalibratedModel,
  int8Bytes: Uint8Array,
  tensors: readonly Float32Array[],
  exact: readonly Record<string, Float32Array>[],
): Promise<number> {
  const session = await openSession(int8Bytes);
  const sums = new Map(Object.keys(exact[0]).map((name): [string, NoiseSums] => [name, { signal: 0, noise: 0 }]));
  try {
    for (const [i, tensor] of tensors.entries()) {
      const rough = await session.run(int8Feeds(calibrated, session, tensor));
      for (const [name, sum] of sums) addNoise(sum, exact[i][name], rough[name].data as Float32Array);
    }
  } finally {
    await session.release();
  }
  const values = [...sums.values()].map(decibels);
  return values.reduce((a, b) => a + b, 0) / values.length;
}

/** The float model's outputs, those of float32, for each tensor. */
export async function floatOutputs(
  calibrated: CalibratedModel,
  tensors: readonly Float32Array[],
): Promise<Record<string, Float32Array>[]> {
  const { floatBytes } = calibrated;
  const session = await openSession(floatBytes);
  const names = decodeModel(floatBytes).graph.output.map(({ name }) => name);
  const results: Record<string, Float32Array>[] = [];
  try {
    for (const tensor of tensors) {
      const outputs = await session.run(floatFeeds(calibrated, session, tensor));
      const floats = names.filter((name) => outputs[name].data instanceof Float32Array);
      results.push(
        Object.fromEntries(floats.map((name) => [name, Float32Array.from(outputs[name].data as Float32Array)])),
      );
    }
  } finally {
    await session.release();
  }
  return results;
}

/** Copies of the first tensors of a stream that reuses its buffer. */
export async function takeTensors(pictures: Pictures): Promise<Float32Array[]> {
  const tensors: Float32Array[] = [];
  for await (const picture of pictures) tensors.push(Float32Array.from(picture));
  return tensors;
}
