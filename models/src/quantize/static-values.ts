import { integerAttribute, integersAttribute, tensorAttribute } from './attributes.js';
import { DataType, type NodeProto } from './onnx-proto.js';
import { numbersOf } from './tensor-data.js';

/** A small constant whose numbers are known without running the model, row-major. */
export interface StaticTensor {
  dims: number[];
  values: number[];
  /** ONNX data type. */
  type: number;
}

/** Shape arithmetic is a handful of numbers; larger constants are left to the runtime. */
export const MAX_STATIC_VALUES = 1024;

export function normalizedAxis(axis: number, rank: number): number {
  return axis < 0 ? axis + rank : axis;
}

export function countOf(dims: readonly number[]): number {
  return dims.reduce((a, b) => a * b, 1);
}

/** ONNX's (numpy's) broadcasting of shapes; -1 is unknown. Undefined when they do not fit. */
export function broadcastShapes(shapes: readonly (readonly number[])[]): number[] | undefined {
  const rank = Math.max(0, ...shapes.map((s) => s.length));
  const result: number[] = [];
  for (let i = 0; i < rank; i++) {
    const sizes = shapes.map((s) => s[i - rank + s.length] ?? 1).filter((d) => d !== 1);
    const known = new Set(sizes.filter((d) => d >= 0));
    if (known.size > 1) return undefined;
    // an unknown size beside a known one above 1 can only be that one
    result.push(known.size === 1 ? [...known][0] : sizes.length > 0 ? -1 : 1);
  }
  return result;
}

type Inputs = readonly (StaticTensor | undefined)[];
type Evaluator = (node: NodeProto, inputs: Inputs) => StaticTensor | undefined;

const isInteger = (type: number) => type === DataType.int64 || type === DataType.int32 || type === DataType.bool;
const rounded = (type: number, value: number) => (type === DataType.float ? Math.fround(value) : value);

function elementwise(compute: (a: number, b: number, type: number) => number, resultType?: number): Evaluator {
  return (_, [a, b]) => {
    if (!a || !b) return undefined;
    const dims = broadcastShapes([a.dims, b.dims]);
    if (!dims || countOf(dims) > MAX_STATIC_VALUES) return undefined;
    // one of them must fill the result, the other too or be a single number: all that shape arithmetic needs
    const count = countOf(dims);
    if (![a, b].every((t) => t.values.length === count || t.values.length === 1)) return undefined;
    const at = (t: StaticTensor, i: number) => t.values[t.values.length === 1 ? 0 : i];
    const values = Array.from({ length: count }, (_v, i) => rounded(a.type, compute(at(a, i), at(b, i), a.type)));
    return values.every(Number.isFinite) ? { dims, values, type: resultType ?? a.type } : undefined;
  };
}

function unary(compute: (value: number) => number): Evaluator {
  return (_, [x]) => x && { ...x, values: x.values.map(compute) };
}

const gather: Evaluator = (node, [data, indices]) => {
  if (!data || !indices || data.dims.length !== 1 || (integerAttribute(node, 'axis') ?? 0) > 0) return undefined;
  const values = indices.values.map((i) => data.values[normalizedAxis(i, data.values.length)]);
  return values.includes(undefined as never) ? undefined : { ...data, dims: indices.dims, values };
};

const concat: Evaluator = (_, inputs) => {
  if (!inputs.every((t) => t?.dims.length === 1)) return undefined;
  const values = inputs.flatMap((t) => t!.values);
  return { dims: [values.length], values, type: inputs[0]!.type };
};

/** The rows of a table the other way round, as PyTorch turns its padding (`F.pad`) into ONNX's. */
const reversedRows: Evaluator = (_, [data, starts, ends, axes, steps]) => {
  const [rows, columns] = data?.dims ?? [];
  const all = starts?.values[0] === -1 && (ends?.values[0] ?? 0) < -rows && (axes?.values[0] ?? 0) === 0;
  if (!data || !all || steps?.values.length !== 1 || steps.values[0] !== -1) return undefined;
  const row = (at: number): number[] => data.values.slice(at * columns, (at + 1) * columns);
  return { ...data, values: Array.from({ length: rows }, (_v, at) => row(rows - 1 - at)).flat() };
};

const transpose: Evaluator = (node, [data]) => {
  const order = integersAttribute(node, 'perm') ?? [1, 0];
  if (data?.dims.length !== 2 || order[0] !== 1 || order[1] !== 0) return undefined;
  const [rows, columns] = data.dims;
  const values = data.values.map((_, at) => data.values[(at % rows) * columns + Math.floor(at / rows)]);
  return { ...data, dims: [columns, rows], values };
};

const slice: Evaluator = (node, [data, starts, ends, axes, steps]) => {
  if (data?.dims.length === 2) return reversedRows(node, [data, starts, ends, axes, steps]);
  if (data?.dims.length !== 1) return undefined;
  const start = (starts?.values ?? integersAttribute(node, 'starts'))?.[0];
  const end = (ends?.values ?? integersAttribute(node, 'ends'))?.[0];
  if (start === undefined || end === undefined || (steps?.values[0] ?? 1) !== 1) return undefined;
  if (node.input[1] && !starts) return undefined;
  if ((node.input[3] && !axes) || (node.input[4] && !steps)) return undefined;
  const values = data.values.slice(start, end);
  return { ...data, dims: [values.length], values };
};

const cast: Evaluator = (node, [x]) => {
  const type = integerAttribute(node, 'to') ?? 0;
  if (!x) return undefined;
  if (type === DataType.bool) return { ...x, type, values: x.values.map((v) => (v === 0 ? 0 : 1)) };
  if (isInteger(type)) return { ...x, type, values: x.values.map((v) => Math.trunc(v) + 0) };
  return type === DataType.float ? { ...x, type, values: x.values.map(Math.fround) } : undefined;
};

/** Reshape, Squeeze and Unsqueeze of numbers: the same numbers; their shape is inferred where every shape is. */
const sameNumbers: Evaluator = (_, [x]) => x;

const range: Evaluator = (_, [start, limit, delta]) => {
  if (!start || !limit || !delta) return undefined;
  const count = Math.max(0, Math.ceil((limit.values[0] - start.values[0]) / delta.values[0]));
  if (!(count <= MAX_STATIC_VALUES)) return undefined;
  const values = Array.from({ length: count }, (_v, i) => rounded(start.type, start.values[0] + i * delta.values[0]));
  return { dims: [count], values, type: start.type };
};

const constantOfShape: Evaluator = (node, [shape]) => {
  const value = tensorAttribute(node, 'value');
  const fill = value ? numbersOf(value)?.[0] : 0;
  const fits = shape?.values.every((d) => d >= 0) && countOf(shape.values) <= MAX_STATIC_VALUES;
  if (!shape || !fits || fill === undefined) return undefined;
  const values = new Array<number>(countOf(shape.values)).fill(fill);
  return { dims: shape.values, values, type: value?.dataType ?? DataType.float };
};

const where: Evaluator = (_, [condition, a, b]) => {
  if (!condition || !a || !b) return undefined;
  const dims = broadcastShapes([condition.dims, a.dims, b.dims]);
  const count = dims ? countOf(dims) : -1;
  if (!dims || ![condition, a, b].every((t) => t.values.length === count || t.values.length === 1)) return undefined;
  const at = (t: StaticTensor, i: number) => t.values[t.values.length === 1 ? 0 : i];
  const values = Array.from({ length: count }, (_v, i) => (at(condition, i) ? at(a, i) : at(b, i)));
  return { dims, values, type: a.type };
};

const reduceProd: Evaluator = (node, [x]) => {
  if (x?.dims.length !== 1) return undefined;
  const keep = (integerAttribute(node, 'keepdims') ?? 1) === 1;
  return { dims: keep ? [1] : [], values: [countOf(x.values)], type: x.type };
};

/** How to compute the operators that exporters use for shape arithmetic; each gives up (undefined) on anything else. */
export const STATIC_EVALUATORS: Readonly<Record<string, Evaluator>> = {
  Add: elementwise((a, b) => a + b),
  Cast: cast,
  Ceil: unary(Math.ceil),
  Concat: concat,
  ConstantOfShape: constantOfShape,
  Div: elementwise((a, b, type) => (isInteger(type) ? Math.trunc(a / b) + 0 : a / b)),
  Equal: elementwise((a, b) => (a === b ? 1 : 0), DataType.bool),
  Floor: unary(Math.floor),
  Gather: gather,
  Identity: sameNumbers,
  Mul: elementwise((a, b) => a * b),
  Neg: unary((v) => 0 - v),
  Range: range,
  ReduceProd: reduceProd,
  Reshape: sameNumbers,
  Slice: slice,
  Squeeze: sameNumbers,
  Sub: elementwise((a, b) => a - b),
  Transpose: transpose,
  Unsqueeze: sameNumbers,
  Where: where,
};
