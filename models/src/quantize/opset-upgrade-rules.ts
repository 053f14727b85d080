import {
  floatAttribute,
  floatsAttribute,
  integerAttribute,
  integerOf,
  integersAttribute,
  removeAttributes,
  setAttribute,
  stringAttribute,
  stringOf,
} from './attributes.js';
import type { NodeProto } from './onnx-proto.js';
import { normalizedAxis } from './static-values.js';

/** What a rule may ask and make. */
export interface UpgradeContext {
  /** The opset the model was written for. */
  from: number;
  /** Adds an initializer and gives its name. */
  integers(node: NodeProto, role: string, values: number[], scalar?: boolean): string;
  floats(node: NodeProto, role: string, values: number[], scalar?: boolean): string;
  /** A tensor's shape, where it is known without running the model; -1 for one unknown dimension. */
  shapeOf(name: string): number[] | undefined;
  /** A constant's values, where the tensor is one. */
  valuesOf(name: string): number[] | undefined;
  isRead(name: string): boolean;
  /** Throws OPSET_UNSUPPORTED, naming the node. */
  refuse(node: NodeProto, why: string): never;
}

/** Gives the nodes that stand in opset 13 for one of an older opset. May change `node` itself. */
export type UpgradeRule = (node: NodeProto, context: UpgradeContext) => NodeProto[];

/** Moves an integer-list attribute to an input, as Split, Squeeze, Unsqueeze and ReduceSum do in opset 13. */
function attributeToInput(name: string, slot: number): UpgradeRule {
  return (node, context) => {
    const values = integersAttribute(node, name);
    removeAttributes(node, name);
    if (values) node.input[slot] = context.integers(node, name, values);
    return [node];
  };
}

/** Opset 6..10 keep the bounds as attributes. */
const clip: UpgradeRule = (node, context) => {
  if (context.from >= 11) return [node];
  const [min, max] = [floatAttribute(node, 'min'), floatAttribute(node, 'max')];
  removeAttributes(node, 'min', 'max');
  node.input = [node.input[0], min === undefined ? '' : context.floats(node, 'min', [min], true)];
  if (max !== undefined) node.input.push(context.floats(node, 'max', [max], true));
  return [node];
};

/** Inference only: a mask that somebody reads cannot be made. */
const dropout: UpgradeRule = (node, context) => {
  if (context.from >= 12) return [node];
  if (node.output[1] && context.isRead(node.output[1])) context.refuse(node, 'its mask is read');
  return [{ ...node, opType: 'Identity', output: [node.output[0]], attribute: [] }];
};

const batchNormalization: UpgradeRule = (node, context) => {
  if ((integerAttribute(node, 'spatial') ?? 1) !== 1) context.refuse(node, 'spatial = 0 has no successor');
  if (node.output.slice(1).some((name) => name && context.isRead(name))) {
    context.refuse(node, 'its training outputs are read');
  }
  removeAttributes(node, 'spatial', 'is_test', 'consumed_inputs');
  node.output = [node.output[0]];
  return [node];
};

const pad: UpgradeRule = (node, context) => {
  if (context.from >= 11) return [node];
  const value = floatAttribute(node, 'value') ?? 0;
  const pads = integersAttribute(node, 'pads') ?? context.refuse(node, 'it has no pads');
  removeAttributes(node, 'pads', 'value');
  node.input = [node.input[0], context.integers(node, 'pads', pads)];
  if (value !== 0) node.input.push(context.floats(node, 'value', [value], true));
  return [node];
};

const slice: UpgradeRule = (node, context) => {
  if (context.from >= 10) return [node];
  const starts = integersAttribute(node, 'starts') ?? context.refuse(node, 'it has no starts');
  const ends = integersAttribute(node, 'ends') ?? context.refuse(node, 'it has no ends');
  const axes = integersAttribute(node, 'axes') ?? starts.map((_, i) => i);
  removeAttributes(node, 'starts', 'ends', 'axes');
  node.input = [
    node.input[0],
    context.integers(node, 'starts', starts),
    context.integers(node, 'ends', ends),
    context.integers(node, 'axes', axes),
  ];
  return [node];
};

const topK: UpgradeRule = (node, context) => {
  if (context.from >= 10) return [node];
  const k = integerAttribute(node, 'k') ?? context.refuse(node, 'it has no k');
  removeAttributes(node, 'k');
  node.input = [node.input[0], context.integers(node, 'k', [k])];
  return [node];
};

/**
 * Before opset 13 the operator took its input as a matrix: all dimensions from `axis` on (default 1) together. The same
 * as one axis where that is the last one or all dimensions behind it are 1; else Flatten, the operator, Reshape back.
 */
const softmax: UpgradeRule = (node, context) => {
  const axis = integerAttribute(node, 'axis') ?? 1;
  const shape = context.shapeOf(node.input[0]);
  const behind = shape?.slice(normalizedAxis(axis, shape.length) + 1);
  if (axis === -1 || behind?.every((d) => d === 1)) {
    setAttribute(node, integerOf('axis', axis));
    return [node];
  }
  const before = shape?.slice(normalizedAxis(axis, shape.length), -1);
  if (before?.every((d) => d === 1)) {
    setAttribute(node, integerOf('axis', -1));
    return [node];
  }
  const [input] = node.input;
  const [output] = node.output;
  const name = node.name || output;
  return [
    {
      opType: 'Flatten',
      name: `${name}_flatten`,
      input: [input],
      output: [`${output}_flat`],
      attribute: [integerOf('axis', axis)],
    },
    { ...node, input: [`${output}_flat`], output: [`${output}_rows`], attribute: [integerOf('axis', -1)] },
    { opType: 'Shape', name: `${name}_shape`, input: [input], output: [`${output}_shape`] },
    { opType: 'Reshape', name: `${name}_reshape`, input: [`${output}_rows`, `${output}_shape`], output: [output] },
  ];
};

/**
 * Opset 10's Resize and Upsample (7, 9) look up pixel `x / scale`: today's `asymmetric`. Its nearest pixel is the one
 * below where the picture grows and, in ONNX Runtime, the one above where it shrinks.
 */
const resize: UpgradeRule = (node, context) => {
  if (node.opType === 'Resize' && context.from >= 11) return [node];
  const attribute = floatsAttribute(node, 'scales');
  const scalesName = attribute ? context.floats(node, 'scales', attribute) : node.input[1];
  if (!scalesName) context.refuse(node, 'it has no scales');
  const scales = attribute ?? context.valuesOf(scalesName);
  const shrinks = scales?.some((s) => s < 1) ?? false;
  if (node.opType === 'Upsample' && shrinks) context.refuse(node, 'Upsample must not shrink');
  if (shrinks && scales?.some((s) => s > 1)) context.refuse(node, 'it grows one side and shrinks the other');
  const mode = stringAttribute(node, 'mode') ?? 'nearest';
  const attributes = [
    stringOf('mode', mode === 'bilinear' ? 'linear' : mode),
    stringOf('coordinate_transformation_mode', 'asymmetric'),
    ...(mode === 'nearest' ? [stringOf('nearest_mode', shrinks ? 'ceil' : 'floor')] : []),
  ];
  return [{ ...node, opType: 'Resize', input: [node.input[0], '', scalesName], attribute: attributes }];
};

const scatter: UpgradeRule = (node) => [{ ...node, opType: 'ScatterElements' }];

/** Operators whose form changed between opset 7 and 13, and how to write the old one today. */
export const UPGRADE_RULES: Readonly<Record<string, UpgradeRule>> = {
  BatchNormalization: batchNormalization,
  Clip: clip,
  Dropout: dropout,
  Hardmax: softmax,
  LogSoftmax: softmax,
  Pad: pad,
  ReduceSum: attributeToInput('axes', 1),
  Resize: resize,
  Scatter: scatter,
  Slice: slice,
  Softmax: softmax,
  Split: attributeToInput('split', 1),
  Squeeze: attributeToInput('axes', 1),
  TopK: topK,
  Unsqueeze: attributeToInput('axes', 1),
  Upsample: resize,
};

/**
 * Operators that changed between opset 7 and 13 only by new types, new optional attributes or inputs, or not at all:
 * a node of an older opset is a valid one of opset 13 (https://github.com/onnx/onnx/blob/main/docs/Changelog.md).
 */
export const UNCHANGED_OPERATORS: ReadonlySet<string> = new Set(
  `Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh AveragePool BitShift Cast Ceil Celu Compress Concat
  ConcatFromSequence Constant ConstantOfShape Conv ConvInteger ConvTranspose Cos Cosh CumSum DepthToSpace
  DequantizeLinear Det Div DynamicQuantizeLinear Einsum Elu Equal Erf Exp Expand EyeLike Flatten Floor GRU Gather
  GatherElements GatherND Gemm GlobalAveragePool GlobalLpPool GlobalMaxPool Greater GreaterOrEqual HardSigmoid Identity
  InstanceNormalization IsInf IsNaN LRN LSTM LeakyRelu Less LessOrEqual Log LpNormalization LpPool MatMul MatMulInteger
  Max MaxPool MaxRoiPool MaxUnpool Mean MeanVarianceNormalization Min Mod Mul Neg NonMaxSuppression NonZero Not OneHot
  Or PRelu Pow QLinearConv QLinearMatMul QuantizeLinear RNN RandomNormal RandomUniform Range Reciprocal ReduceL1
  ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSumSquare Relu Reshape
  ReverseSequence RoiAlign Round ScatterElements ScatterND Selu SequenceAt SequenceConstruct SequenceEmpty
  SequenceErase SequenceInsert SequenceLength Shape Shrink Sigmoid Sign Sin Sinh Size Softplus Softsign SpaceToDepth
  SplitToSequence Sqrt Sub Sum Tan Tanh ThresholdedRelu Tile Transpose Unique Where Xor`.split(/\s+/),
);
