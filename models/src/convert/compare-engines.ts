import { sha256Hex } from '../package/digest.js';
import type { OpenPackage } from '../package/package.js';
import type { Engine } from '../runtime/engine.js';
import { openOnnxEngine } from '../runtime/onnx-session-engine.js';
import { openTfjsEngine } from '../runtime/tfjs-engine.js';
import type { ConvertedGraph } from './convert-onnx.js';
import { MODEL_FILE } from './tfjs-model-files.js';

/** How a picture's bytes become the input: (byte − mean) / std per channel. */
export interface Scaling {
  mean?: readonly number[];
  std?: readonly number[];
}

export interface EngineComparison {
  /** E.g. `tfjs-backend-wasm 4.22.0 simd`. */
  runtime: string;
  /** Per output: largest difference as a share of its largest value. */
  outputs: { name: string; difference: number }[];
}

/**
 * Runs the ONNX model and the converted files in `directory` on the same made-up picture (noise over soft shapes, always
 * the same). It shows a wrong conversion as well as a kernel of TensorFlow.js that calculates something else.
 */
export async function compareEngines(
  onnx: Uint8Array,
  graph: ConvertedGraph,
  directory: string,
  files: ReadonlyMap<string, Uint8Array>,
  scaling: Scaling = {},
): Promise<EngineComparison> {
  const { name, width, height } = graph.input;
  const outputs = graph.outputs.map((output) => ({ name: output.name, dims: undefined }));
  const size = width * height;
  const last = madeUpPicture(width, height, scaling);
  const first = Float32Array.from(last, (_, index) => last[(index % size) * 3 + Math.floor(index / size)]);
  const wanted = await runOnce(
    await openOnnxEngine(onnx, 'model.onnx'),
    { name, data: first, dims: [1, 3, height, width] },
    outputs,
  );
  const listed = [...files].map(([path, bytes]) => ({ path, size: bytes.length, sha256: sha256Hex(bytes) }));
  const engine = await openTfjsEngine(directory, {
    manifest: { model: { file: MODEL_FILE } } as OpenPackage['manifest'],
    files: listed,
  });
  const given = await runOnce(engine, { name, data: last, dims: [1, height, width, 3] }, outputs);
  return {
    runtime: engine.runtime,
    outputs: outputs.map((output) => ({
      name: output.name,
      difference: apart(wanted[output.name], given[output.name]),
    })),
  };
}

async function runOnce(
  engine: Engine,
  input: Parameters<Engine['bind']>[0],
  outputs: Parameters<Engine['bind']>[1],
): Promise<Record<string, Float32Array>> {
  try {
    const results = await engine.bind(input, outputs)();
    return Object.fromEntries(Object.entries(results).map(([name, { data }]) => [name, data.slice()]));
  } finally {
    await engine.close();
  }
}

function apart(wanted: Float32Array, given: Float32Array): number {
  if (wanted.length !== given.length) return Number.POSITIVE_INFINITY;
  let largest = 1e-6;
  let gap = 0;
  for (let i = 0; i < wanted.length; i++) {
    if (Object.is(wanted[i], given[i])) continue;
    largest = Math.max(largest, Math.abs(wanted[i]));
    const difference = Math.abs(wanted[i] - given[i]);
    gap = difference >= 0 ? Math.max(gap, difference) : Number.POSITIVE_INFINITY;
  }
  return gap / largest;
}

/** [height, width, 3], channels last, scaled. */
function madeUpPicture(width: number, height: number, { mean = [0, 0, 0], std = [1, 1, 1] }: Scaling): Float32Array {
  let state = 1;
  return Float32Array.from({ length: 3 * width * height }, (_, index) => {
    const channel = index % 3;
    const x = Math.floor(index / 3) % width;
    const y = Math.floor(index / 3 / width);
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const soft = 110 + 70 * Math.sin((x * (channel + 2)) / 31) * Math.cos(y / 23);
    const byte = Math.max(0, Math.min(255, Math.round(soft + (state / 2 ** 32 - 0.5) * 60)));
    return (byte - mean[channel]) / std[channel];
  });
}
