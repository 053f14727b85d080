import {
  decodeModel,
  type GraphProto,
  int64ToNumber,
  type ModelProto,
  type NodeProto,
} from '../quantize/onnx-proto.js';
import { foldConstants } from './constant-folding.js';
import { ConvertError } from './convert-error.js';
import { fusedActivation } from './convolution.js';
import { elementwise } from './elementwise.js';
import { GraphBuilder, type NodeDef, type Weight } from './graph-builder.js';
import { plain } from './layout.js';
import { matrices } from './matrices.js';
import { type Converter, type Operator, operatorOf } from './operator.js';
import { pooling } from './pooling.js';
import { resizing } from './resize.js';
import { shaping } from './shaping.js';
import { NHWC, readConstant, type Value } from './value.js';

/** A TensorFlow graph with its weights, not yet written to files. */
export interface ConvertedGraph {
  nodes: NodeDef[];
  weights: Weight[];
  /** The one picture input, [1, height, width, 3] in the graph. */
  input: { name: string; width: number; height: number };
  /** Outputs by the names and with the shapes that they have in the ONNX model. */
  outputs: { name: string; node: string; dims: number[] }[];
  inputNode: string;
}

const CONVERTERS: Readonly<Record<string, Converter>> = {
  ...elementwise,
  ...matrices,
  ...pooling,
  ...resizing,
  ...shaping,
};

/** The oldest and newest operator sets whose forms of the operators are known here. */
const OPSETS = { oldest: 7, newest: 21 };

/**
 * Converts an FP32 ONNX network with one picture input `[1, 3, H, W]` into a TensorFlow graph that takes `[1, H, W, 3]`, the
 * same values channels last, and gives the same outputs. Pure and deterministic: the same bytes give the same graph.
 * Throws ConvertError: NOT_ONNX, INPUT_UNSUPPORTED, OPERATOR_UNSUPPORTED (naming the node), TENSOR_UNSUPPORTED.
 */
export function convertOnnx(bytes: Uint8Array): ConvertedGraph {
  const { graph, opset } = readModel(bytes);
  const values = new Map<string, Value>(graph.initializer.map((tensor) => [tensor.name ?? '', readConstant(tensor)]));
  const input = pictureOf(graph, values);
  const outputNames = graph.output.map(({ name }) => name);
  const builder = new GraphBuilder([input.name, ...outputNames]);
  const inputNode = builder.placeholder(input.name, [1, input.height, input.width, 3]);
  values.set(input.name, { kind: 'activation', node: inputNode, dims: input.dims, order: NHWC });

  const used = reachable(graph);
  const consumers = consumersOf(used, outputNames);
  const done = new Set<NodeProto>();
  for (const node of used) {
    if (done.has(node)) continue;
    const operator = operatorOf(node, opset, builder, values, []);
    const folded = converted(operator, () => foldConstants(operator));
    if (folded !== undefined) {
      values.set(node.output[0], folded);
      continue;
    }
    const chain =
      node.opType === 'Conv' ? followers(node, consumers, (next) => operatorOf(next, opset, builder, values, [])) : [];
    for (const next of chain) done.add(next);
    const fused = chain.map((next) => operatorOf(next, opset, builder, values, []));
    const results = converted(operator, () => converterOf(operator)(operatorOf(node, opset, builder, values, fused)));
    const names = (chain.at(-1) ?? node).output;
    for (const [index, result] of results.entries()) if (names[index]) values.set(names[index], result);
  }
  const outputs = outputNames.map((name) => {
    const value = values.get(name);
    if (value?.kind !== 'activation')
      throw new ConvertError('OPERATOR_UNSUPPORTED', `output "${name}" does not depend on the picture`);
    return { name, node: builder.output(name, plain(builder, value).node), dims: [...value.dims] };
  });
  return { nodes: builder.nodes, weights: builder.weights, input, outputs, inputNode };
}

function readModel(bytes: Uint8Array): { graph: GraphProto; opset: number } {
  let model: ModelProto;
  try {
    model = decodeModel(bytes);
  } catch (cause) {
    throw new ConvertError('NOT_ONNX', `this is not an ONNX file (${String(cause)})`, { cause });
  }
  if (!model.graph?.node?.length) throw new ConvertError('NOT_ONNX', 'this is not an ONNX file: it holds no graph');
  const opset = int64ToNumber(model.opsetImport.find(({ domain }) => !domain || domain === 'ai.onnx')?.version);
  if (opset >= OPSETS.oldest && opset <= OPSETS.newest) return { graph: model.graph, opset };
  throw new ConvertError(
    'OPERATOR_UNSUPPORTED',
    `the model uses opset ${opset}; ${OPSETS.oldest} to ${OPSETS.newest} can be converted. Export it again with opset 13`,
  );
}

/** The one input that is no weight. Batch and sizes must be fixed; a batch left open becomes 1. */
function pictureOf(
  graph: GraphProto,
  constants: ReadonlyMap<string, Value>,
): { name: string; width: number; height: number; dims: number[] } {
  const inputs = graph.input.filter(({ name }) => !constants.has(name));
  const type = inputs[0]?.type?.tensorType;
  // A size with a name instead of a number reads as 0.
  const dims = type?.shape?.dim.map((dim) => int64ToNumber(dim.dimValue, -1) || -1) ?? [];
  const [batch, channels, height, width] = dims;
  const fits = dims.length === 4 && batch <= 1 && channels === 3 && height > 0 && width > 0;
  if (inputs.length === 1 && type?.elemType === 1 && fits) {
    return { name: inputs[0].name, width, height, dims: [1, 3, height, width] };
  }
  const found = inputs.map(({ name }) => name).join(', ');
  throw new ConvertError(
    'INPUT_UNSUPPORTED',
    `one float32 input [1, 3, height, width] is needed; the model takes ${found || 'nothing'}` +
      `${inputs.length === 1 ? ` (ONNX data type ${type?.elemType}, [${dims.join(', ')}], -1: not fixed)` : ''}; ` +
      'export it again with a fixed size, or give the FP32 model it was quantized from',
  );
}

/** Nodes that an output depends on, in the order of the file, which ONNX requires to be topological. */
function reachable(graph: GraphProto): NodeProto[] {
  const wanted = new Set(graph.output.map(({ name }) => name));
  const kept: NodeProto[] = [];
  for (const node of [...graph.node].reverse()) {
    if (!node.output.some((name) => wanted.has(name))) continue;
    for (const name of node.input) wanted.add(name);
    kept.push(node);
  }
  return kept.reverse();
}

/** Who reads each tensor; an output of the graph is read by the world outside (undefined). */
function consumersOf(nodes: readonly NodeProto[], outputs: readonly string[]): Map<string, (NodeProto | undefined)[]> {
  const consumers = new Map<string, (NodeProto | undefined)[]>(outputs.map((name) => [name, [undefined]]));
  for (const node of nodes) {
    for (const name of node.input) consumers.set(name, [...(consumers.get(name) ?? []), node]);
  }
  return consumers;
}

/** The BatchNormalization and the activation that alone read a convolution's result. */
function followers(
  conv: NodeProto,
  consumers: ReadonlyMap<string, (NodeProto | undefined)[]>,
  operator: (node: NodeProto) => Operator,
): NodeProto[] {
  const chain: NodeProto[] = [];
  const next = (): NodeProto | undefined => {
    const readers = consumers.get((chain.at(-1) ?? conv).output[0]) ?? [];
    return readers.length === 1 ? readers[0] : undefined;
  };
  let candidate = next();
  if (candidate?.opType === 'BatchNormalization') {
    chain.push(candidate);
    candidate = next();
  }
  const fusable = ['Relu', 'Sigmoid', 'LeakyRelu', 'Clip'];
  // The WASM backend (4.22) takes another slope than the one given when a depthwise convolution has a LeakyRelu.
  const wrong =
    candidate?.opType === 'LeakyRelu' &&
    conv.attribute?.some(({ name, i }) => name === 'group' && int64ToNumber(i) !== 1);
  if (candidate && fusable.includes(candidate.opType) && !wrong && bounded(candidate, operator)) {
    chain.push(candidate);
  }
  return chain;
}

/** Bounds of a Clip may be made by a node that has not been visited yet; then it stays on its own. */
function bounded(node: NodeProto, operator: (node: NodeProto) => Operator): boolean {
  try {
    return fusedActivation(operator(node)) !== undefined;
  } catch {
    return false;
  }
}

/** A broken file can surprise anywhere: whatever is thrown names the node. */
function converted<T>(operator: Operator, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof ConvertError) throw error;
    throw operator.fail(`it is not as ONNX describes it (${String(error).split('\n')[0]})`);
  }
}

function converterOf(operator: Operator): Converter {
  if (Object.hasOwn(CONVERTERS, operator.type)) return CONVERTERS[operator.type];
  const quantized = operator.type.includes('Linear') || operator.type.includes('Integer');
  throw operator.fail(
    quantized
      ? 'quantized networks cannot be converted; convert the FP32 model and use --weights to make it small'
      : `this operator cannot be converted; known are ${Object.keys(CONVERTERS).sort().join(', ')}`,
  );
}
