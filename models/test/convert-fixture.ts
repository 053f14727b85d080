import { join } from 'node:path';
import '../src/runtime/onnx-session-telemetry.js';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { convertOnnx } from '../src/convert/convert-onnx.js';
import { MODEL_FILE, tfjsModelFiles } from '../src/convert/tfjs-model-files.js';
import type { WeightFormat } from '../src/convert/weight-file.js';
import { packageDigest, sha256Hex } from '../src/package/digest.js';
import type { OpenPackage } from '../src/package/package.js';
import {
  type AttributeProto,
  AttributeType,
  DataType,
  encodeModel,
  type NodeProto,
  type TensorProto,
} from '../src/quantize/onnx-proto.js';
import type { OutputTensor } from '../src/runtime/decoder.js';
import type { Engine } from '../src/runtime/engine.js';
import { openTfjsEngine } from '../src/runtime/tfjs-engine.js';
import { folderOf } from './package-fixture.js';
import { noise } from './quantize-model-fixture.js';

type AttributeValue = number | string | number[] | { f: number };

/** Builds small ONNX models of one picture input `image` [1, 3, height, width]. */
export class OnnxGraph {
  private readonly nodes: NodeProto[] = [];
  private readonly tensors: TensorProto[] = [];
  private seed = 1;

  constructor(
    readonly height: number,
    readonly width: number,
    readonly opset = 13,
  ) {}

  node(opType: string, input: string[], attributes: Record<string, AttributeValue> = {}, outputs = 1): string[] {
    const base = `${opType.toLowerCase()}_${this.nodes.length}`;
    const output = Array.from({ length: outputs }, (_, index) => (outputs === 1 ? base : `${base}.${index}`));
    const attribute = Object.entries(attributes).map(([name, value]) => attributeOf(name, value));
    this.nodes.push({ opType, name: `node_${base}`, input, output, attribute });
    return output;
  }

  one(opType: string, input: string[], attributes: Record<string, AttributeValue> = {}): string {
    return this.node(opType, input, attributes)[0];
  }

  /** Float weights, −scale..scale unless given. */
  floats(dims: number[], values?: readonly number[], scale = 0.5): string {
    const count = dims.reduce((a, b) => a * b, 1);
    const data = values ?? [...noise(count, this.seed++)].map((value) => value * scale);
    return this.add(dims, DataType.float, new Uint8Array(Float32Array.from(data).buffer));
  }

  integers(values: number[], dims = [values.length]): string {
    return this.add(dims, DataType.int64, new Uint8Array(BigInt64Array.from(values.map(BigInt)).buffer));
  }

  conv(input: string, from: number, to: number, size: number, attributes: Record<string, AttributeValue> = {}): string {
    const groups = typeof attributes.group === 'number' ? attributes.group : 1;
    return this.one('Conv', [input, this.floats([to, from / groups, size, size]), this.floats([to])], attributes);
  }

  bytes(outputs: string[]): Uint8Array {
    const dim = [1, 3, this.height, this.width].map((dimValue) => ({ dimValue }));
    return encodeModel({
      irVersion: 7,
      opsetImport: [{ version: this.opset }],
      graph: {
        name: 'small',
        node: this.nodes,
        initializer: this.tensors,
        input: [{ name: 'image', type: { tensorType: { elemType: DataType.float, shape: { dim } } } }],
        output: outputs.map((name) => ({ name, type: { tensorType: { elemType: DataType.float } } })),
        valueInfo: [],
      },
      metadataProps: [],
    });
  }

  private add(dims: number[], dataType: number, rawData: Uint8Array): string {
    const name = `tensor_${this.tensors.length}`;
    this.tensors.push({ name, dims, dataType, rawData });
    return name;
  }
}

function attributeOf(name: string, value: AttributeValue): AttributeProto {
  if (typeof value === 'number') return { name, type: AttributeType.int, i: value };
  if (typeof value === 'string') return { name, type: AttributeType.string, s: new Uint8Array(Buffer.from(value)) };
  if (Array.isArray(value)) return { name, type: AttributeType.ints, ints: value };
  return { name, type: AttributeType.float, f: value.f };
}

/** An engine on files that stand in a temporary folder, as if they were a checked package. */
export async function engineOnFiles(contents: ReadonlyMap<string, Uint8Array>): Promise<Engine> {
  const directory = await folderOf(
    Object.fromEntries([...contents].map(([path, bytes]) => [path, Buffer.from(bytes)])),
  );
  const files = [...contents].map(([path, bytes]) => ({ path, size: bytes.length, sha256: sha256Hex(bytes) }));
  const manifest = { model: { file: MODEL_FILE } } as OpenPackage['manifest'];
  const open = { manifest, files, digest: packageDigest(files), directory: join(directory) };
  return openTfjsEngine(directory, open);
}

/** `image` values [1, 3, h, w] with the same values channels last. */
export function lastChannels(values: Float32Array, size: number): Float32Array {
  return Float32Array.from(values, (_, index) => values[(index % 3) * size + Math.floor(index / 3)]);
}

export interface Comparison {
  name: string;
  dims: readonly number[];
  onnxDims: readonly number[];
  /** Largest difference as a share of the largest value. */
  difference: number;
}

/** Runs an ONNX model and what it converts to on the same values. */
export async function compareConverted(
  bytes: Uint8Array,
  values: Float32Array,
  format: WeightFormat = 'float32',
): Promise<Comparison[]> {
  const graph = convertOnnx(bytes);
  const { name, width, height } = graph.input;
  const session = await InferenceSession.create(bytes, { intraOpNumThreads: 1, logSeverityLevel: 3 });
  const expected = await session.run({ [name]: new Tensor('float32', values, [1, 3, height, width]) });
  const engine = await engineOnFiles(tfjsModelFiles(graph, format));
  try {
    const data = lastChannels(values, width * height);
    const run = engine.bind(
      { name, data, dims: [1, height, width, 3] },
      graph.outputs.map((output) => ({ name: output.name, dims: undefined })),
    );
    const given: Readonly<Record<string, OutputTensor>> = await run();
    return graph.outputs.map((output) => {
      const wanted = expected[output.name];
      const reference = wanted.data as Float32Array;
      const { data: found, dims } = given[output.name];
      let largest = 1e-6;
      let gap = 0;
      for (let i = 0; i < reference.length; i++) {
        largest = Math.max(largest, Math.abs(reference[i]));
        const apart = Math.abs(reference[i] - found[i]);
        gap = apart >= 0 ? Math.max(gap, apart) : Number.POSITIVE_INFINITY;
      }
      return { name: output.name, dims, onnxDims: wanted.dims, difference: gap / largest };
    });
  } finally {
    await engine.close();
    await session.release();
  }
}
