import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { QuantizeTarget } from '../src/quantize/arithmetic.js';
import {
  type AttributeProto,
  AttributeType,
  DataType,
  decodeModel,
  encodeModel,
  type NodeProto,
  type TensorProto,
} from '../src/quantize/onnx-proto.js';
import { quantizeOnnx } from '../src/quantize/quantize-onnx.js';
import { floatTensor, int64Tensor } from '../src/quantize/tensor-data.js';
import { noise } from './quantize-model-fixture.js';

/** A whole number becomes an int attribute; write `{ f: 1 }` for a float that happens to be whole. */
type AttributeValue = number | string | readonly number[] | { f: number } | { floats: number[] };

export function op(
  opType: string,
  input: string[],
  output: string | string[],
  attributes: Record<string, AttributeValue> = {},
): NodeProto {
  const outputs = typeof output === 'string' ? [output] : output;
  const attribute = Object.entries(attributes).map(([name, value]) => attributeOf(name, value));
  return { opType, name: `n_${outputs[0]}`, input, output: outputs, attribute };
}

function attributeOf(name: string, value: AttributeValue): AttributeProto {
  if (typeof value === 'string') return { name, type: AttributeType.string, s: Buffer.from(value) };
  if (typeof value === 'number') {
    return Number.isInteger(value)
      ? { name, type: AttributeType.int, i: value }
      : { name, type: AttributeType.float, f: value };
  }
  if ('f' in value) return { name, type: AttributeType.float, f: value.f };
  if ('floats' in value) return { name, type: AttributeType.floats, floats: value.floats };
  return { name, type: AttributeType.ints, ints: [...value] };
}

/** A constant of seeded noise, or of the given numbers. */
export function weights(name: string, dims: number[], scale = 1, seed = name.length): TensorProto {
  const count = dims.reduce((a, b) => a * b, 1);
  return floatTensor(
    name,
    dims,
    noise(count, seed * 77 + count).map((v) => v * scale),
  );
}

export function floats(name: string, values: number[], dims = [values.length]): TensorProto {
  return floatTensor(name, dims, values);
}

export function integers(name: string, values: number[], dims = [values.length]): TensorProto {
  return int64Tensor(name, dims, values);
}

export interface SmallGraph {
  opset?: number;
  irVersion?: number;
  /** Of the input `x`; the first of four is the batch. */
  input?: (number | string)[];
  nodes: NodeProto[];
  constants?: TensorProto[];
  outputs: string[];
}

/** A model of one float input `x`, default `[1, 3, 16, 16]`. */
export function graphModel({
  opset = 13,
  irVersion = 7,
  input,
  nodes,
  constants = [],
  outputs,
}: SmallGraph): Uint8Array {
  const dim = (input ?? [1, 3, 16, 16]).map((d) => (typeof d === 'number' ? { dimValue: d } : { dimParam: d }));
  const typeOf = (shape?: { dim: { dimValue?: number; dimParam?: string }[] }) => ({
    tensorType: { elemType: DataType.float, shape },
  });
  return encodeModel({
    irVersion,
    opsetImport: [{ version: opset }],
    graph: {
      name: 'g',
      node: nodes,
      initializer: constants,
      input: [{ name: 'x', type: typeOf({ dim }) }, ...(irVersion < 4 ? constants.map(asInput) : [])],
      output: outputs.map((name) => ({ name, type: typeOf() })),
      valueInfo: [],
    },
    metadataProps: [],
  });
}

function asInput(tensor: TensorProto) {
  const dim = tensor.dims.map((d) => ({ dimValue: d }));
  return { name: tensor.name ?? '', type: { tensorType: { elemType: tensor.dataType, shape: { dim } } } };
}

export type Outputs = Record<string, { dims: readonly number[]; data: Float32Array }>;

export async function runModel(
  model: Uint8Array,
  data: Float32Array | Uint8Array,
  dims: readonly number[] = [1, 3, 16, 16],
  graphOptimizationLevel: 'all' | 'disabled' = 'all',
): Promise<Outputs> {
  const session = await InferenceSession.create(model, {
    intraOpNumThreads: 1,
    logSeverityLevel: 3,
    graphOptimizationLevel,
  });
  try {
    const type = data instanceof Uint8Array ? 'uint8' : 'float32';
    const results = await session.run({ x: new Tensor(type, data, dims) });
    return Object.fromEntries(
      Object.entries(results).map(([key, t]) => [
        key,
        { dims: t.dims, data: Float32Array.from(t.data as Float32Array) },
      ]),
    );
  } finally {
    await session.release();
  }
}

/** Signal to quantization noise ratio of `got` against `wanted`, in dB. */
export function sqnr(wanted: ArrayLike<number>, got: ArrayLike<number>): number {
  let [signal, difference] = [0, 0];
  for (let i = 0; i < wanted.length; i++) {
    signal += wanted[i] ** 2;
    difference += (wanted[i] - got[i]) ** 2;
  }
  return difference === 0 ? Number.POSITIVE_INFINITY : 10 * Math.log10(signal / difference);
}

/** How often each operator stands in the graph that ONNX Runtime really executes. */
export async function executedOperators(model: Uint8Array): Promise<Record<string, number>> {
  const scratch = await mkdtemp(join(tmpdir(), 'vigie-graph-'));
  try {
    const path = join(scratch, 'optimized.onnx');
    const session = await InferenceSession.create(model, { optimizedModelFilePath: path, logSeverityLevel: 3 });
    await session.release();
    const counts: Record<string, number> = {};
    for (const { opType } of decodeModel(await readFile(path)).graph.node) counts[opType] = (counts[opType] ?? 0) + 1;
    return counts;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** Pictures of 0..255, `[1, 3, 16, 16]`. */
export function pictures(count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, i) =>
    Uint8Array.from(noise(3 * 256, i + 1), (v) => Math.round((v + 1) * 127.5)),
  );
}

/** Quantizes with pictures whose bytes are the input as they are. */
export async function quantizeBytes(model: Uint8Array, target: QuantizeTarget = 'portable') {
  async function* tensors() {
    for (const picture of pictures(6)) yield Float32Array.from(picture);
  }
  return quantizeOnnx(model, tensors(), { target, scaling: { mean: [0, 0, 0], std: [1, 1, 1] } });
}
