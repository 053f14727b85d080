import { floatAttribute, integerAttribute, integersAttribute } from './attributes.js';
import type { GraphIndex } from './graph-index.js';
import { DataType, type NodeProto, type TensorProto } from './onnx-proto.js';
import { dimensionsOf, floatValues } from './tensor-data.js';

/** A last 1×1 convolution costs next to nothing, unless it holds more than this share of all weights. */
const READ_OUT_SHARE = 0.1;

/** Whether a Conv, Gemm or MatMul has the constant float weights (and bias) that an integer kernel needs. */
export function hasConstantWeights(index: GraphIndex, node: NodeProto): boolean {
  const isFloat = (t: TensorProto | undefined) => t?.dataType === DataType.float && t.dataLocation !== 1;
  const weights = index.constants.get(node.input[1]);
  if (!weights || !isFloat(weights) || (node.input[2] && !isFloat(index.constants.get(node.input[2])))) return false;
  const dims = dimensionsOf(weights);
  if (index.constants.has(node.input[0])) return false;
  if (node.opType === 'Conv') return dims.length === 4;
  if (node.opType === 'MatMul') return dims.length === 2;
  const plain = (floatAttribute(node, 'alpha') ?? 1) === 1 && (floatAttribute(node, 'beta') ?? 1) === 1;
  const bias = node.input[2] ? dimensionsOf(index.constants.get(node.input[2])!) : undefined;
  const channels = dims[integerAttribute(node, 'transB') ? 0 : 1];
  const biasFits = !bias || (bias.length === 1 && bias[0] === channels);
  return dims.length === 2 && plain && !integerAttribute(node, 'transA') && biasFits;
}

/**
 * The convolution by which YOLOv8 and its kin take the mean of a distribution (1×1, one result, weights 0, 1, 2…):
 * decode arithmetic, no layer.
 */
export function isExpectation(index: GraphIndex, node: NodeProto): boolean {
  const weights = node.opType === 'Conv' ? index.constants.get(node.input[1]) : undefined;
  if (weights?.dataType !== DataType.float || weights.dataLocation === 1) return false;
  const dims = dimensionsOf(weights);
  if (dims[0] !== 1 || dims.slice(2).some((k) => k !== 1) || !(dims[1] > 1 && dims[1] <= 256)) return false;
  return floatValues(weights).every((value, i) => value === i);
}

/** Tensors from which some layer with weights can be reached; what lies behind the last ones is decode arithmetic. */
export function tensorsBeforeLayers(index: GraphIndex): Set<string> {
  const found = new Set<string>();
  for (const node of index.graph.node.toReversed()) {
    const layer = ['Conv', 'Gemm', 'MatMul', 'ConvTranspose'].includes(node.opType) && !isExpectation(index, node);
    if ((layer && index.constants.has(node.input[1])) || node.output.some((name) => found.has(name))) {
      for (const name of node.input) found.add(name);
    }
  }
  return found;
}

/**
 * Whether a Conv is a head's read-out: 1×1, no layer behind it, and small. It stays float, because it sets the
 * resolution of scores and boxes and costs next to nothing.
 */
export function isReadOut(
  index: GraphIndex,
  node: NodeProto,
  before: ReadonlySet<string>,
  weightsInAll: number,
): boolean {
  const dims = dimensionsOf(index.constants.get(node.input[1])!);
  const kernel = integersAttribute(node, 'kernel_shape') ?? dims.slice(2);
  if (node.opType !== 'Conv' || before.has(node.output[0]) || kernel.some((k) => k !== 1)) return false;
  return countOfWeights(index, node) <= Math.max(READ_OUT_SHARE * weightsInAll, 1024) || isOnlyLayer(index);
}

/** What a layer multiplies by, output channel by output channel whatever the operator's own layout is. */
export interface LayerWeights {
  /** `[channels, perChannel]` row-major. */
  values: Float32Array;
  channels: number;
  bias: Float32Array | undefined;
  /** As the operator stores them. */
  dims: number[];
  /** Where the output channels are in `dims`: 0, or 1 of a matrix whose columns they are. */
  axis: 0 | 1;
}

/** The weights of a node for which `hasConstantWeights` holds. Throws TENSOR_UNSUPPORTED when their data is damaged. */
export function layerWeights(index: GraphIndex, node: NodeProto): LayerWeights {
  const tensor = index.constants.get(node.input[1])!;
  const bias = node.input[2] ? index.constants.get(node.input[2]) : undefined;
  const dims = dimensionsOf(tensor);
  const columns = node.opType === 'MatMul' || (node.opType === 'Gemm' && !integerAttribute(node, 'transB'));
  const axis = columns ? 1 : 0;
  const stored = floatValues(tensor);
  const values = columns ? transposed(stored, dims[0], dims[1]) : stored;
  return { values, channels: dims[axis], bias: bias && floatValues(bias), dims, axis };
}

/** `[rows, columns]` to `[columns, rows]`. */
export function transposed<T extends Float32Array | Int8Array>(values: T, rows: number, columns: number): T {
  const result = values.slice() as T;
  for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) result[c * rows + r] = values[r * columns + c];
  return result;
}

export function countOfWeights(index: GraphIndex, node: NodeProto): number {
  const weights = index.constants.get(node.input[1]);
  return weights ? dimensionsOf(weights).reduce((a, b) => a * b, 1) : 0;
}

function isOnlyLayer(index: GraphIndex): boolean {
  return index.graph.node.filter((n) => n.opType === 'Conv').length === 1;
}
