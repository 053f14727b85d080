import { floatAttribute, integerAttribute } from './attributes.js';
import { type GraphIndex, indexGraph } from './graph-index.js';
import { DataType, type GraphProto, type NodeProto, type TensorProto } from './onnx-proto.js';
import { dimensionsOf, floatTensor, floatValues } from './tensor-data.js';

/** y = scale[c] × x + shift[c] for each output channel c. */
interface ChannelAffine {
  scale: Float64Array;
  shift: Float64Array;
}

/**
 * Folds BatchNormalization, and Mul, Add, Sub and Div by constants, into the Conv, ConvTranspose or Gemm before them,
 * in double precision. Exact but for the rounding of the new float32 weights. Returns how many nodes went.
 */
export function foldAffine(graph: GraphProto): number {
  let folded = 0;
  // one node at a time: each changes readers and constants of the next (Conv -> BatchNormalization -> Mul)
  for (let again = true; again; ) {
    again = false;
    const index = indexGraph(graph);
    const gone = new Set<NodeProto>();
    const touched = new Set<NodeProto>();
    for (const node of graph.node) {
      if (!isLinear(node) || touched.has(node)) continue;
      const reader = onlyReader(index, node.output[0]);
      const weights = reader && linearWeights(index, node);
      if (!reader || !weights || gone.has(reader)) continue;
      const affine = affineOf(index, reader, node.output[0], weights.channels, weights.rank);
      if (!affine) continue;
      const made = applied(node, weights, affine);
      if (!made) continue;
      graph.initializer.push(...made);
      node.input = [node.input[0], ...made.map((t) => t.name ?? '')];
      node.output = [reader.output[0]];
      gone.add(reader);
      touched.add(node);
      folded++;
      again = true;
    }
    graph.node = graph.node.filter((n) => !gone.has(n));
  }
  return folded;
}

function isLinear(node: NodeProto): boolean {
  if (node.domain) return false;
  if (node.opType === 'Gemm')
    return (floatAttribute(node, 'alpha') ?? 1) === 1 && (floatAttribute(node, 'beta') ?? 1) === 1;
  return node.opType === 'Conv' || node.opType === 'ConvTranspose';
}

function onlyReader(index: GraphIndex, name: string): NodeProto | undefined {
  const readers = index.consumers.get(name) ?? [];
  const once = readers.length === 1 && readers[0].input.filter((n) => n === name).length === 1;
  return once && !index.outputs.has(name) ? readers[0] : undefined;
}

interface LinearWeights {
  weights: Float32Array;
  dims: number[];
  bias: Float32Array | undefined;
  channels: number;
  /** Of the node's result. */
  rank: number;
  /** The output channel of weight i. */
  channelOf(i: number): number;
}

function linearWeights(index: GraphIndex, node: NodeProto): LinearWeights | undefined {
  const weights = floatConstant(index, node.input[1]);
  const bias = node.input[2] ? floatConstant(index, node.input[2]) : undefined;
  if (!weights || (node.input[2] && !bias)) return undefined;
  const dims = dimensionsOf(weights);
  const rank = dims.length;
  if (rank < 2) return undefined;
  const layout = channelLayout(node, dims);
  const biasValues = bias && floatValues(bias);
  if (biasValues && biasValues.length !== layout.channels) return undefined;
  return { weights: floatValues(weights), dims, bias: biasValues, rank, ...layout };
}

function channelLayout(node: NodeProto, dims: number[]): Pick<LinearWeights, 'channels' | 'channelOf'> {
  const kernel = dims.slice(2).reduce((a, b) => a * b, 1);
  if (node.opType === 'Conv') return { channels: dims[0], channelOf: (i) => Math.floor(i / (dims[1] * kernel)) };
  if (node.opType === 'Gemm') {
    const transposed = integerAttribute(node, 'transB') === 1;
    return transposed
      ? { channels: dims[0], channelOf: (i) => Math.floor(i / dims[1]) }
      : { channels: dims[1], channelOf: (i) => i % dims[1] };
  }
  // ConvTranspose: [in, out / group, kH, kW]
  const group = integerAttribute(node, 'group') ?? 1;
  const inPerGroup = dims[0] / group;
  return {
    channels: dims[1] * group,
    channelOf: (i) => {
      const channelIn = Math.floor(i / (dims[1] * kernel));
      return Math.floor(channelIn / inPerGroup) * dims[1] + (Math.floor(i / kernel) % dims[1]);
    },
  };
}

function floatConstant(index: GraphIndex, name: string): TensorProto | undefined {
  const tensor = index.constants.get(name);
  return tensor?.dataType === DataType.float && tensor.dataLocation !== 1 ? tensor : undefined;
}

/** What `reader` does to each channel of `name`, when that is all it does. */
function affineOf(
  index: GraphIndex,
  reader: NodeProto,
  name: string,
  channels: number,
  rank: number,
): ChannelAffine | undefined {
  if (reader.domain) return undefined;
  if (reader.opType === 'BatchNormalization') return batchNormalization(index, reader, name, channels);
  const first = reader.input[0] === name;
  if (reader.input.length !== 2 || (!first && (reader.opType === 'Sub' || reader.opType === 'Div'))) return undefined;
  const constant = floatConstant(index, reader.input[first ? 1 : 0]);
  const values = constant && perChannel(constant, channels, rank);
  if (!values) return undefined;
  const ones = new Float64Array(channels).fill(1);
  const zeros = new Float64Array(channels);
  switch (reader.opType) {
    case 'Mul':
      return { scale: values, shift: zeros };
    case 'Div':
      return { scale: values.map((v) => 1 / v), shift: zeros };
    case 'Add':
      return { scale: ones, shift: values };
    case 'Sub':
      return { scale: ones, shift: values.map((v) => -v) };
    default:
      return undefined;
  }
}

function batchNormalization(
  index: GraphIndex,
  node: NodeProto,
  name: string,
  channels: number,
): ChannelAffine | undefined {
  const tensors = node.input.slice(1, 5).map((n) => floatConstant(index, n));
  if (node.input[0] !== name || node.output.length !== 1 || tensors.length !== 4) return undefined;
  if (integerAttribute(node, 'training_mode') || !tensors.every((t) => t !== undefined)) return undefined;
  const [gamma, beta, mean, variance] = tensors.map((t) => floatValues(t));
  if (![gamma, beta, mean, variance].every((v) => v.length === channels)) return undefined;
  const epsilon = floatAttribute(node, 'epsilon') ?? 1e-5;
  const scale = Float64Array.from(gamma, (g, c) => g / Math.sqrt(variance[c] + epsilon));
  return { scale, shift: scale.map((s, c) => beta[c] - mean[c] * s) };
}

/** The constant as one number per channel: a single number, or a shape that is 1 everywhere but on the channel axis. */
function perChannel(constant: TensorProto, channels: number, rank: number): Float64Array | undefined {
  const dims = dimensionsOf(constant);
  const values = floatValues(constant);
  if (dims.length > rank) return undefined;
  if (values.length === 1) return new Float64Array(channels).fill(values[0]);
  const full = [...new Array<number>(rank - dims.length).fill(1), ...dims];
  const channelAxis = 1;
  if (full.some((d, i) => d !== (i === channelAxis ? channels : 1))) return undefined;
  return Float64Array.from(values);
}

function applied(node: NodeProto, weights: LinearWeights, { scale, shift }: ChannelAffine): TensorProto[] | undefined {
  const { channels, channelOf, bias } = weights;
  const values = weights.weights.map((w, i) => w * scale[channelOf(i)]);
  const biases = Float32Array.from({ length: channels }, (_, c) => (bias?.[c] ?? 0) * scale[c] + shift[c]);
  if (!values.every(Number.isFinite) || !biases.every(Number.isFinite)) return undefined;
  // named after the convolution's own result: shared weights may be folded differently elsewhere
  return [
    floatTensor(`${node.output[0]}_folded_weights`, weights.dims, values),
    floatTensor(`${node.output[0]}_folded_bias`, [channels], biases),
  ];
}
