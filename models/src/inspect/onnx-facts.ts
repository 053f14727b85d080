import {
  decodeModel,
  type GraphProto,
  int64ToNumber,
  type ModelProto,
  type NodeProto,
  type TensorProto,
  type ValueInfoProto,
} from '../quantize/onnx-proto.js';
import { evaluateStatically } from '../quantize/static-evaluation.js';
import { InspectError } from './inspect-error.js';
import { labelsFromMetadata } from './label-metadata.js';
import type { Dimension, ModelFacts, TensorFacts } from './model-facts.js';
import { countMacs } from './onnx-macs.js';

/** TensorProto.DataType of onnx.proto */
const DTYPES: Readonly<Record<number, string>> = {
  1: 'float32',
  2: 'uint8',
  3: 'int8',
  4: 'uint16',
  5: 'int16',
  6: 'int32',
  7: 'int64',
  8: 'string',
  9: 'bool',
  10: 'float16',
  11: 'float64',
  12: 'uint32',
  13: 'uint64',
  16: 'bfloat16',
};

/**
 * Reads what an ONNX file says of itself; the model is not run, and data outside the file is not looked at.
 * `file` is the name for messages. Throws InspectError NOT_A_MODEL on bytes that are no ONNX model.
 */
export function onnxFacts(bytes: Uint8Array, file: string): ModelFacts {
  try {
    const model = decodeModel(bytes);
    if (!model.graph?.node?.length || !model.opsetImport?.length) {
      throw new Error('it holds no graph with operators');
    }
    return readFacts(model);
  } catch (error) {
    // Whatever the reader stumbles over (wire types, depth, sizes that make no sense) comes from the bytes.
    const detail = error instanceof Error ? error.message.split('\n')[0].slice(0, 200) : String(error);
    throw new InspectError('NOT_A_MODEL', `${file} is no ONNX model: ${detail}; export it again`, { cause: error });
  }
}

function readFacts(model: ModelProto): ModelFacts {
  const { graph } = model;
  const constants = new Map(graph.initializer.map((tensor) => [tensor.name ?? '', tensor]));
  const inputs = graph.input.filter(({ name }) => !constants.has(name)).map((value) => tensorFacts(value));
  assumeBatchOfOne(graph, constants);
  const shapes = inferShapes(graph, constants);
  const makers = new Map(graph.node.flatMap((node) => node.output.map((name) => [name, node])));
  const outputs = graph.output.map((value): TensorFacts => {
    const facts = tensorFacts(value);
    const madeBy = makerOf(value.name, makers);
    return { ...facts, dims: knownDims(facts.dims, shapes.get(value.name)), ...(madeBy && { madeBy }) };
  });
  const metadata = Object.fromEntries(
    (model.metadataProps ?? []).map(({ key, value }) => [
      String(key).slice(0, 200),
      String(value ?? '').slice(0, 2000),
    ]),
  );
  const names = (model.metadataProps ?? []).find(({ key }) => key === 'names')?.value;
  const operators = histogram(graph.node.map(({ opType }) => opType ?? '?'));
  const quantized = quantizationOf(operators);
  return {
    engine: 'onnx',
    inputs,
    outputs,
    opset: opsetOf(model),
    producer: [model.producerName, model.producerVersion].filter(Boolean).join(' '),
    operators,
    ...weightFacts(graph, constants, quantized),
    quantized,
    macs: countMacs(graph, shapes),
    metadata,
    labels: labelsFromMetadata(names),
  };
}

function opsetOf(model: ModelProto): number | null {
  const own = model.opsetImport.find(({ domain }) => !domain || domain === 'ai.onnx');
  return own === undefined ? null : int64ToNumber(own.version);
}

function tensorFacts({ name, type }: ValueInfoProto): TensorFacts {
  const tensor = type?.tensorType;
  const dims = tensor?.shape?.dim.map((dim): Dimension => {
    if (dim.dimParam) return dim.dimParam;
    return dim.dimValue === undefined || dim.dimValue === null ? null : int64ToNumber(dim.dimValue);
  });
  return { name: name ?? '', dtype: DTYPES[tensor?.elemType ?? 0] ?? 'unknown', dims: dims ?? null };
}

/** A symbolic batch is 1 on a board; with it most other sizes follow. */
function assumeBatchOfOne(graph: GraphProto, constants: ReadonlyMap<string, TensorProto>): void {
  for (const { name, type } of graph.input) {
    const first = type?.tensorType?.shape?.dim[0];
    if (first === undefined || constants.has(name)) continue;
    if (!(int64ToNumber(first.dimValue ?? undefined, -1) > 0)) {
      first.dimValue = 1;
      first.dimParam = undefined;
    }
  }
}

/**
 * Shapes that follow from the inputs. Where a model takes pictures of any size, sizes that do not depend on it (a head's
 * columns, its queries) show when two sizes are tried.
 */
function inferShapes(graph: GraphProto, constants: ReadonlyMap<string, TensorProto>): ReadonlyMap<string, number[]> {
  const open = graph.input.flatMap(({ name, type }) => {
    const dims = type?.tensorType?.shape?.dim ?? [];
    if (constants.has(name) || dims.length !== 4) return [];
    const unknown = dims.map((dim) => !(int64ToNumber(dim.dimValue ?? undefined, -1) > 0));
    const channels = !unknown[3] && int64ToNumber(dims[3].dimValue ?? undefined, -1) === 3 ? 3 : 1;
    return dims.flatMap((dim, at) => (unknown[at] ? [{ dim, channels: at === channels }] : []));
  });
  if (open.length === 0) return evaluateStatically(graph).shapes;
  const [first, second] = [320, 640].map((size) => {
    for (const { dim, channels } of open) dim.dimValue = channels ? 3 : size;
    return evaluateStatically(graph).shapes;
  });
  return new Map(
    [...first].flatMap(([name, dims]): [string, number[]][] => {
      const others = second.get(name);
      if (others?.length !== dims.length) return [];
      return [[name, dims.map((dim, at) => (dim === others[at] ? dim : -1))]];
    }),
  );
}

/** Declared sizes, completed by those that follow from the graph. */
function knownDims(declared: Dimension[] | null, inferred: readonly number[] | undefined): Dimension[] | null {
  if (inferred === undefined) return declared;
  if (declared === null || declared.length !== inferred.length) return inferred.map((size) => (size < 0 ? null : size));
  return declared.map((dim, at) => (typeof dim === 'number' && dim > 0 ? dim : inferred[at] >= 0 ? inferred[at] : dim));
}

/** Looks through what only moves or stores numbers. */
const TRANSPARENT = new Set([
  'Identity',
  'Cast',
  'Reshape',
  'Flatten',
  'Squeeze',
  'Unsqueeze',
  'Transpose',
  'QuantizeLinear',
  'DequantizeLinear',
]);

function makerOf(name: string, makers: ReadonlyMap<string, NodeProto>): string | undefined {
  let node = makers.get(name);
  for (let steps = 0; steps < 8 && node !== undefined && TRANSPARENT.has(node.opType); steps++) {
    const before = makers.get(node.input[0] ?? '');
    if (before === undefined) break;
    node = before;
  }
  return node?.opType;
}

export function histogram(names: readonly string[]): Record<string, number> {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return Object.fromEntries([...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)));
}

function quantizationOf(operators: Record<string, number>): ModelFacts['quantized'] {
  const has = (...names: string[]): boolean => names.some((name) => Object.hasOwn(operators, name));
  if (has('QuantizeLinear', 'QLinearConv', 'QLinearMatMul')) return 'static';
  if (has('DynamicQuantizeLinear', 'ConvInteger', 'MatMulInteger', 'DequantizeLinear')) return 'dynamic';
  return null;
}

/** Counts trained numbers, and guesses the precision from the type that most of them have. */
function weightFacts(
  graph: GraphProto,
  constants: ReadonlyMap<string, TensorProto>,
  quantized: ModelFacts['quantized'],
): Pick<ModelFacts, 'parameters' | 'precision'> {
  const tensors = new Map(constants);
  const scales = new Set<string>();
  for (const node of graph.node) {
    const value = node.opType === 'Constant' ? node.attribute?.find(({ name }) => name === 'value')?.t : undefined;
    if (value) tensors.set(node.output[0], value);
    if (node.opType === 'QuantizeLinear' || node.opType === 'DequantizeLinear') {
      for (const name of node.input.slice(1)) scales.add(name);
    }
  }
  let parameters = 0;
  let halves = 0;
  let bytes = 0;
  for (const [name, tensor] of tensors) {
    const dtype = DTYPES[tensor.dataType];
    const dims = tensor.dims.map((dim) => int64ToNumber(dim));
    // Shapes and indices are int64, single numbers are settings: neither is trained.
    if (scales.has(name) || dims.length === 0 || dtype === 'int64' || dtype === 'bool' || dtype === 'string') continue;
    const count = dims.reduce((product, dim) => product * dim, 1);
    if (!(count > 0 && Number.isSafeInteger(count))) continue;
    parameters += count;
    if (dtype === 'float16' || dtype === 'bfloat16') halves += count;
    if (dtype === 'int8' || dtype === 'uint8') bytes += count;
  }
  const precision = quantized !== null && bytes > parameters / 2 ? 'int8' : halves > parameters / 2 ? 'fp16' : 'fp32';
  return { parameters, precision };
}
