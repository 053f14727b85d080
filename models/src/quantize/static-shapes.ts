import { integerAttribute, integersAttribute, stringAttribute } from './attributes.js';
import type { NodeProto } from './onnx-proto.js';
import { broadcastShapes, countOf, normalizedAxis } from './static-values.js';

/** -1 stands for a size that is not known. */
export type Shape = readonly number[];

/** What a shape rule may ask about the node's inputs. */
export interface ShapeQuery {
  shape(slot: number): Shape | undefined;
  values(slot: number): readonly number[] | undefined;
}

/** One shape per output; undefined: not known. */
type ShapeRule = (node: NodeProto, query: ShapeQuery) => (Shape | undefined)[];

const same: ShapeRule = (_, { shape }) => [shape(0)];

const broadcast: ShapeRule = (node, { shape }) => {
  const shapes = node.input.map((_, i) => shape(i));
  return [shapes.every((s) => s !== undefined) ? broadcastShapes(shapes) : undefined];
};

/** Size of one axis after a window of `kernel` slid over it, after ONNX's text of Conv and the pooling operators. */
function slid(node: NodeProto, size: number, kernel: number, i: number, rank: number): number {
  if (size < 0) return -1;
  const stride = integersAttribute(node, 'strides')?.[i] ?? 1;
  const auto = stringAttribute(node, 'auto_pad') ?? 'NOTSET';
  if (auto.startsWith('SAME')) return Math.ceil(size / stride);
  const pads = auto === 'VALID' ? [] : (integersAttribute(node, 'pads') ?? []);
  const window = (integersAttribute(node, 'dilations')?.[i] ?? 1) * (kernel - 1) + 1;
  const steps = (size + (pads[i] ?? 0) + (pads[i + rank] ?? 0) - window) / stride;
  return ((integerAttribute(node, 'ceil_mode') ?? 0) === 1 ? Math.ceil(steps) : Math.floor(steps)) + 1;
}

const conv: ShapeRule = (node, { shape }) => {
  const [x, w] = [shape(0), shape(1)];
  if (!x || !w) return [undefined];
  return [[x[0], w[0], ...x.slice(2).map((size, i) => slid(node, size, w[i + 2], i, x.length - 2))]];
};

const pool: ShapeRule = (node, { shape }) => {
  const [x, kernel] = [shape(0), integersAttribute(node, 'kernel_shape')];
  // with ceil_mode the last window may have to start inside the picture, where runtimes differ
  if (!x || !kernel || integerAttribute(node, 'ceil_mode')) return [x?.map((d, i) => (i < 2 ? d : -1))];
  return [[...x.slice(0, 2), ...kernel.map((k, i) => slid(node, x[i + 2], k, i, kernel.length))]];
};

const convTranspose: ShapeRule = (node, { shape }) => {
  const [x, w] = [shape(0), shape(1)];
  if (!x || !w) return [undefined];
  const channels = w[1] * (integerAttribute(node, 'group') ?? 1);
  const plain =
    !integersAttribute(node, 'output_shape') && (stringAttribute(node, 'auto_pad') ?? 'NOTSET') === 'NOTSET';
  const rank = x.length - 2;
  const at = (name: string, i: number, absent: number) => integersAttribute(node, name)?.[i] ?? absent;
  const sizes = x.slice(2).map((size, i) => {
    if (!plain || size < 0) return -1;
    const window = at('dilations', i, 1) * (w[i + 2] - 1) + 1;
    const out = at('strides', i, 1) * (size - 1) + at('output_padding', i, 0) + window;
    return out - at('pads', i, 0) - at('pads', i + rank, 0);
  });
  return [[x[0], channels, ...sizes]];
};

const globalPool: ShapeRule = (_, { shape }) => [shape(0)?.map((d, i) => (i < 2 ? d : 1))];

const concat: ShapeRule = (node, { shape }) => {
  const shapes = node.input.map((_, i) => shape(i));
  const first = shapes[0];
  if (!first || !shapes.every((s) => s?.length === first.length)) return [undefined];
  const axis = normalizedAxis(integerAttribute(node, 'axis') ?? 0, first.length);
  const sizes = shapes.map((s) => s![axis]);
  return [first.map((d, i) => (i !== axis ? d : sizes.includes(-1) ? -1 : sizes.reduce((a, b) => a + b)))];
};

const reshape: ShapeRule = (node, { shape, values }) => {
  const [x, wanted] = [shape(0), values(1)];
  if (!wanted) return [undefined];
  const zeroStays = (integerAttribute(node, 'allowzero') ?? 0) === 0;
  const result = wanted.map((d, i) => (d === 0 && zeroStays ? (x?.[i] ?? -1) : d));
  const rest = result.indexOf(-1);
  if (rest >= 0 && x && !x.includes(-1) && result.filter((d) => d === -1).length === 1) {
    result[rest] = countOf(x) / countOf(result.filter((d) => d !== -1));
  }
  return [result];
};

const transpose: ShapeRule = (node, { shape }) => {
  const x = shape(0);
  const order = integersAttribute(node, 'perm') ?? x?.map((_, i) => x.length - 1 - i);
  return [x && order?.map((i) => x[i])];
};

const flatten: ShapeRule = (node, { shape }) => {
  const x = shape(0);
  if (!x) return [undefined];
  const axis = normalizedAxis(integerAttribute(node, 'axis') ?? 1, x.length);
  const product = (dims: Shape) => (dims.includes(-1) ? -1 : countOf(dims));
  return [[product(x.slice(0, axis)), product(x.slice(axis))]];
};

/** Axes as attribute (before opset 13) or second input. */
function axesOf(node: NodeProto, values: ShapeQuery['values']): readonly number[] | undefined {
  return integersAttribute(node, 'axes') ?? values(1);
}

const squeeze: ShapeRule = (node, { shape, values }) => {
  const x = shape(0);
  if (!x) return [undefined];
  const axes = axesOf(node, values)?.map((a) => normalizedAxis(a, x.length));
  if (!axes && (node.input[1] || x.includes(-1))) return [undefined];
  return [x.filter((d, i) => (axes ? !axes.includes(i) : d !== 1))];
};

const unsqueeze: ShapeRule = (node, { shape, values }) => {
  const [x, axes] = [shape(0), axesOf(node, values)];
  if (!x || !axes) return [undefined];
  const rank = x.length + axes.length;
  const ones = new Set(axes.map((a) => normalizedAxis(a, rank)));
  let next = 0;
  return [Array.from({ length: rank }, (_, i) => (ones.has(i) ? 1 : x[next++]))];
};

const split: ShapeRule = (node, { shape, values }) => {
  const x = shape(0);
  if (!x) return node.output.map(() => undefined);
  const axis = normalizedAxis(integerAttribute(node, 'axis') ?? 0, x.length);
  const parts = integersAttribute(node, 'split') ?? values(1);
  const even = !node.input[1] && x[axis] % node.output.length === 0 ? x[axis] / node.output.length : -1;
  return node.output.map((_, n) => x.map((d, i) => (i === axis ? (parts?.[n] ?? even) : d)));
};

const slice: ShapeRule = (node, { shape, values }) => {
  const x = shape(0);
  const starts = integersAttribute(node, 'starts') ?? values(1);
  const ends = integersAttribute(node, 'ends') ?? values(2);
  const axes = integersAttribute(node, 'axes') ?? values(3) ?? (node.input[3] ? undefined : starts?.map((_, i) => i));
  const steps = values(4) ?? (node.input[4] ? undefined : starts?.map(() => 1));
  if (!x || !starts || !ends || !axes || !steps) return [undefined];
  const result = [...x];
  axes.forEach((a, n) => {
    const axis = normalizedAxis(a, x.length);
    const [size, step] = [x[axis], steps[n]];
    const clamp = (v: number, low: number, high: number) => Math.min(high, Math.max(low, v < 0 ? v + size : v));
    const [from, to] = step > 0 ? [clamp(starts[n], 0, size), clamp(ends[n], 0, size)] : [-1, -1];
    result[axis] = size < 0 || step <= 0 ? -1 : Math.max(0, Math.ceil((to - from) / step));
  });
  return [result];
};

const gather: ShapeRule = (node, { shape }) => {
  const [x, indices] = [shape(0), shape(1)];
  if (!x || !indices) return [undefined];
  const axis = normalizedAxis(integerAttribute(node, 'axis') ?? 0, x.length);
  return [[...x.slice(0, axis), ...indices, ...x.slice(axis + 1)]];
};

const resize: ShapeRule = (node, { shape, values }) => {
  const x = shape(0);
  const sizes = node.input[3] ? values(3) : undefined;
  if (sizes?.length === x?.length) return [sizes];
  const scales = node.input.length > 2 ? values(2) : values(1);
  if (!x || scales?.length !== x.length || node.input[3]) return [x?.map(() => -1)];
  return [x.map((d, i) => (d < 0 ? -1 : Math.floor(d * scales[i])))];
};

const matMul: ShapeRule = (_, { shape }) => {
  const [a, b] = [shape(0), shape(1)];
  if (!a || !b || a.length < 2 || b.length < 2) return [undefined];
  const batch = broadcastShapes([a.slice(0, -2), b.slice(0, -2)]);
  return [batch && [...batch, a[a.length - 2], b[b.length - 1]]];
};

const gemm: ShapeRule = (node, { shape }) => {
  const [a, b] = [shape(0), shape(1)];
  if (!a || !b) return [undefined];
  const rows = a[integerAttribute(node, 'transA') ? 1 : 0];
  return [[rows, b[integerAttribute(node, 'transB') ? 0 : 1]]];
};

const reduce: ShapeRule = (node, { shape, values }) => {
  const x = shape(0);
  const given = axesOf(node, values);
  if (!x || (!given && node.input[1])) return [undefined];
  const axes = new Set((given ?? x.map((_, i) => i)).map((a) => normalizedAxis(a, x.length)));
  const keep = (integerAttribute(node, 'keepdims') ?? 1) === 1;
  return [x.flatMap((d, i) => (axes.has(i) ? (keep ? [1] : []) : [d]))];
};

const pad: ShapeRule = (node, { shape, values }) => {
  const [x, pads] = [shape(0), integersAttribute(node, 'pads') ?? values(1)];
  if (!x || pads?.length !== 2 * x.length) return [undefined];
  return [x.map((d, i) => (d < 0 ? -1 : d + pads[i] + pads[i + x.length]))];
};

const expand: ShapeRule = (_, { shape, values }) => {
  const [x, wanted] = [shape(0), values(1)];
  return [x && wanted && broadcastShapes([x, wanted])];
};

const depthToSpace: ShapeRule = (node, { shape }) => {
  const [x, block] = [shape(0), integerAttribute(node, 'blocksize') ?? 1];
  if (x?.length !== 4 || x.includes(-1)) return [undefined];
  return [[x[0], x[1] / block ** 2, x[2] * block, x[3] * block]];
};

const constantOfShape: ShapeRule = (_, { values }) => [values(0)];

const topK: ShapeRule = (node, { shape, values }) => {
  const [x, count] = [shape(0), integerAttribute(node, 'k') ?? values(1)?.[0]];
  if (!x || count === undefined) return [undefined];
  const axis = normalizedAxis(integerAttribute(node, 'axis') ?? -1, x.length);
  const kept = x.map((d, i) => (i === axis ? count : d));
  return [kept, kept];
};

const tile: ShapeRule = (_, { shape, values }) => {
  const [x, repeats] = [shape(0), values(1)];
  return [x && repeats?.length === x.length ? x.map((d, i) => (d < 0 ? -1 : d * repeats[i])) : undefined];
};

const gatherElements: ShapeRule = (_, { shape }) => [shape(1)];

const SAME_SHAPE = `BatchNormalization Cast Ceil Clip Dropout Elu Erf Exp Floor Gelu HardSigmoid HardSwish Hardmax Identity
  InstanceNormalization LayerNormalization LeakyRelu Log LogSoftmax Mish Neg PRelu Reciprocal Relu Round Selu Sigmoid
  Softmax Softplus Sqrt Tanh ThresholdedRelu QuantizeLinear DequantizeLinear Abs Not Sign Sin Cos`;
const BROADCAST = 'Add Sub Mul Div Pow Max Min Sum Mean Equal Greater Less Where And Or Mod';
const REDUCE = 'ReduceMean ReduceSum ReduceMax ReduceMin ReduceProd ReduceL2';

export const SHAPE_RULES: ReadonlyMap<string, ShapeRule> = new Map<string, ShapeRule>([
  ...SAME_SHAPE.split(/\s+/).map((op): [string, ShapeRule] => [op, same]),
  ...BROADCAST.split(' ').map((op): [string, ShapeRule] => [op, broadcast]),
  ...REDUCE.split(' ').map((op): [string, ShapeRule] => [op, reduce]),
  ['AveragePool', pool],
  ['Concat', concat],
  ['Conv', conv],
  ['ConvTranspose', convTranspose],
  ['ConstantOfShape', constantOfShape],
  ['DepthToSpace', depthToSpace],
  ['Expand', expand],
  ['Flatten', flatten],
  ['Gather', gather],
  ['GatherElements', gatherElements],
  ['Gemm', gemm],
  ['GlobalAveragePool', globalPool],
  ['GlobalMaxPool', globalPool],
  ['MatMul', matMul],
  ['MaxPool', pool],
  ['Pad', pad],
  ['Reshape', reshape],
  ['Resize', resize],
  ['Slice', slice],
  ['Split', split],
  ['Squeeze', squeeze],
  ['Tile', tile],
  ['TopK', topK],
  ['Transpose', transpose],
  ['Unsqueeze', unsqueeze],
  ['Upsample', resize],
]);
