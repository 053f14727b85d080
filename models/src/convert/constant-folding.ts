import { axisOf, type Operator } from './operator.js';
import { permutationOf, reshapeTarget, sliceOf, squeezed, unsqueezed } from './shaping.js';
import { type Constant, integersOf, sizeOf, transposed } from './value.js';

/**
 * What exporters leave of shape arithmetic (Shape, Gather, Concat, ... before a Reshape) and grids made of constants:
 * calculated here, since every size is known. Returns undefined for operators it does not know.
 */
export function foldConstants(operator: Operator): Constant | undefined {
  if (operator.type === 'Constant') return constantValue(operator);
  if (operator.type === 'Shape') {
    const dims = operator.input(0)!.dims;
    return integers(dims.slice(operator.integer('start', 0), operator.integer('end', dims.length)));
  }
  if (operator.count === 0) return undefined;
  const inputs: Constant[] = [];
  for (let index = 0; index < operator.count; index++) {
    const value = operator.input(index);
    if (value?.kind === 'activation') return undefined;
    if (value !== undefined) inputs.push(value);
  }
  return FOLDED[operator.type]?.(operator, inputs);
}

/** Constants grow out of small files; shapes and grids need no more than this. */
function bounded(operator: Operator, count: number): void {
  if (!(count >= 0 && count <= 2 ** 24)) throw operator.fail(`a constant of ${count} values is too large`);
}

type Fold = (operator: Operator, inputs: Constant[]) => Constant | undefined;

function integers(values: readonly number[]): Constant {
  return { kind: 'constant', dims: [values.length], values: Float64Array.from(values) };
}

function constantValue(operator: Operator): Constant {
  const tensor = operator.tensor('value');
  if (tensor !== undefined) return tensor;
  const list = operator.integers('value_ints');
  if (list !== undefined) return integers(list);
  const float = operator.float('value_float', Number.NaN);
  if (!Number.isNaN(float)) return { kind: 'constant', dims: [], values: Float32Array.of(float) };
  const integer = operator.integer('value_int', Number.NaN);
  if (!Number.isNaN(integer)) return { kind: 'constant', dims: [], values: Float64Array.of(integer) };
  throw operator.fail('only numbers are supported');
}

const arithmetic =
  (calculate: (a: number, b: number, whole: boolean) => number): Fold =>
  (operator, [a, b]) => {
    const rank = Math.max(a.dims.length, b.dims.length);
    const wide = [a, b].map(({ dims }) => [...new Array<number>(rank - dims.length).fill(1), ...dims]);
    const dims = wide[0].map((size, axis) => (size === 1 ? wide[1][axis] : size));
    const [left, right] = [a, b].map((value, side) => broadcast(operator, value, wide[side], dims));
    const whole = a.values instanceof Float64Array && b.values instanceof Float64Array;
    const values = left.map((value, index) => calculate(value, right[index], whole));
    return { kind: 'constant', dims, values: whole ? Float64Array.from(values) : Float32Array.from(values) };
  };

/** Values of a constant repeated to `dims`; `from` are its sizes with ones before them. */
function broadcast(
  operator: Operator,
  { values }: Constant,
  from: readonly number[],
  dims: readonly number[],
): number[] {
  if (from.some((size, axis) => size !== 1 && size !== dims[axis]))
    throw operator.fail('its constants do not broadcast');
  bounded(operator, sizeOf(dims));
  const strides = from.map((size, axis) => (size === 1 ? 0 : sizeOf(from.slice(axis + 1))));
  return Array.from({ length: sizeOf(dims) }, (_, index) => {
    let at = 0;
    for (let axis = dims.length - 1, rest = index; axis >= 0; axis--) {
      at += (rest % dims[axis]) * strides[axis];
      rest = Math.floor(rest / dims[axis]);
    }
    return values[at];
  });
}

const mapped =
  (calculate: (value: number) => number): Fold =>
  (_, [x]) => ({ ...x, values: x.values.map(calculate) });

const reshaped =
  (shape: (operator: Operator, dims: readonly number[]) => number[]): Fold =>
  (operator, [x]) => ({ ...x, dims: shape(operator, x.dims) });

const gather: Fold = (operator, [x, indices]) => {
  const axis = axisOf(operator, operator.integer('axis', 0), x.dims.length);
  const inner = sizeOf(x.dims.slice(axis + 1));
  const picked = integersOf(indices).map((index) => axisOf(operator, index, x.dims[axis]));
  const dims = [...x.dims.slice(0, axis), ...indices.dims, ...x.dims.slice(axis + 1)];
  bounded(operator, sizeOf(dims));
  const values: number[] = [];
  for (let outer = 0; outer < sizeOf(x.dims.slice(0, axis)); outer++) {
    for (const index of picked) {
      const from = (outer * x.dims[axis] + index) * inner;
      for (let i = 0; i < inner; i++) values.push(x.values[from + i]);
    }
  }
  return { kind: 'constant', dims, values: like(x, values) };
};

function like(constant: Constant, values: readonly number[]): Float32Array | Float64Array {
  return constant.values instanceof Float32Array ? Float32Array.from(values) : Float64Array.from(values);
}

const slice: Fold = (operator, [x]) => {
  const { begin, count, step } = sliceOf(operator, x.dims);
  const values = Array.from({ length: sizeOf(count) }, (_, index) => {
    let at = 0;
    for (let axis = count.length - 1, rest = index; axis >= 0; axis--) {
      at += (begin[axis] + (rest % count[axis]) * step[axis]) * sizeOf(x.dims.slice(axis + 1));
      rest = Math.floor(rest / count[axis]);
    }
    return x.values[at];
  });
  return { kind: 'constant', dims: count, values: like(x, values) };
};

const concat: Fold = (operator, inputs) => {
  const axis = axisOf(operator, operator.integer('axis', 0), inputs[0].dims.length);
  const values: number[] = [];
  for (let outer = 0; outer < sizeOf(inputs[0].dims.slice(0, axis)); outer++) {
    for (const input of inputs) {
      const inner = sizeOf(input.dims.slice(axis));
      for (let i = 0; i < inner; i++) values.push(input.values[outer * inner + i]);
    }
  }
  const sum = inputs.reduce((total, { dims }) => total + dims[axis], 0);
  return {
    kind: 'constant',
    dims: inputs[0].dims.map((size, at) => (at === axis ? sum : size)),
    values: like(inputs[0], values),
  };
};

const cast: Fold = (operator, [x]) => {
  const float = [1, 10, 11].includes(operator.integer('to', 1));
  const whole = (): Float64Array => Float64Array.from(x.values, Math.trunc);
  return { ...x, values: float ? Float32Array.from(x.values) : whole() };
};

const constantOfShape: Fold = (operator, [shape]) => {
  const value = operator.tensor('value') ?? { values: Float32Array.of(0) };
  const dims = integersOf(shape);
  bounded(operator, sizeOf(dims));
  return {
    kind: 'constant',
    dims,
    values: new (value.values instanceof Float32Array ? Float32Array : Float64Array)(sizeOf(dims)).fill(
      value.values[0],
    ),
  };
};

const range: Fold = (operator, [start, limit, delta]) => {
  const [from, to, by] = [start, limit, delta].map((value) => value.values[0]);
  const count = Math.max(0, Math.ceil((to - from) / by));
  bounded(operator, count);
  const values = Array.from({ length: count }, (_, index) => from + index * by);
  return { kind: 'constant', dims: [count], values: like(start, values) };
};

const FOLDED: Readonly<Record<string, Fold>> = {
  Identity: (_, [x]) => x,
  Add: arithmetic((a, b) => a + b),
  Sub: arithmetic((a, b) => a - b),
  Mul: arithmetic((a, b) => a * b),
  Div: arithmetic((a, b, whole) => (whole ? Math.trunc(a / b) : a / b)),
  Pow: arithmetic((a, b) => a ** b),
  Mod: arithmetic((a, b) => ((a % b) + b) % b),
  Max: arithmetic((a, b) => Math.max(a, b)),
  Min: arithmetic((a, b) => Math.min(a, b)),
  Floor: mapped(Math.floor),
  Ceil: mapped(Math.ceil),
  Sqrt: mapped(Math.sqrt),
  Exp: mapped(Math.exp),
  Neg: mapped((value) => -value),
  Cast: cast,
  Gather: gather,
  Slice: slice,
  Concat: concat,
  Squeeze: reshaped(squeezed),
  Unsqueeze: reshaped(unsqueezed),
  Reshape: (operator, [x, shape]) => ({ ...x, dims: reshapeTarget(operator, x.dims, integersOf(shape)) }),
  Transpose: (operator, [x]) => {
    const permutation = permutationOf(operator, x.dims.length);
    return { ...x, dims: permutation.map((axis) => x.dims[axis]), values: transposed(x.values, x.dims, permutation) };
  },
  Expand: (operator, [x, shape]) => {
    const asked = integersOf(shape);
    const rank = Math.max(asked.length, x.dims.length);
    const from = [...new Array<number>(rank - x.dims.length).fill(1), ...x.dims];
    const to = [...new Array<number>(rank - asked.length).fill(1), ...asked];
    const dims = from.map((size, axis) => (size === 1 ? to[axis] : size));
    return { kind: 'constant', dims, values: like(x, broadcast(operator, x, from, dims)) };
  },
  ConstantOfShape: constantOfShape,
  Range: range,
};
