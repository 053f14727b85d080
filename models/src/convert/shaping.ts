import { attribute } from './graph-builder.js';
import { fits, ordered, reshape, transpose } from './layout.js';
import { axisOf, type Converter, type Operator } from './operator.js';
import { pairs } from './pooling.js';
import { type Activation, integersOf, physicalDims, plainOrder, sizeOf, transposed, type Value } from './value.js';

/** Operators that move values and calculate nothing. */

/** The shape a Reshape asks for: 0 keeps an axis, -1 takes what is left. */
export function reshapeTarget(operator: Operator, dims: readonly number[], asked: readonly number[]): number[] {
  const keepsZero = operator.integer('allowzero', 0) === 1;
  const target = asked.map((size, axis) => (size === 0 && !keepsZero ? (dims[axis] ?? 0) : size));
  const open = target.indexOf(-1);
  const known = target.reduce((product, size, axis) => (axis === open ? product : product * size), 1);
  if (open >= 0) target[open] = sizeOf(dims) / known;
  if (fits(dims, target) && target.every(Number.isInteger)) return target;
  throw operator.fail(`[${dims.join(', ')}] cannot be reshaped to [${asked.join(', ')}]`);
}

const reshapeOperator: Converter = (operator) => {
  const x = operator.activation(0);
  const asked = operator.listOf('shape', 1);
  if (asked === undefined) throw operator.fail('the shape is missing');
  return [reshape(operator.builder, x, reshapeTarget(operator, x.dims, asked))];
};

const flatten: Converter = (operator) => {
  const x = operator.activation(0);
  const rank = x.dims.length;
  const wanted = operator.integer('axis', 1);
  const axis = wanted === rank ? rank : axisOf(operator, wanted, rank);
  return [reshape(operator.builder, x, [sizeOf(x.dims.slice(0, axis)), sizeOf(x.dims.slice(axis))])];
};

/** Shape after Squeeze (axes absent: all of size 1). */
export function squeezed(operator: Operator, dims: readonly number[]): number[] {
  const axes = operator.listOf('axes', 1)?.map((axis) => axisOf(operator, axis, dims.length));
  return dims.filter((size, axis) => (axes === undefined ? size !== 1 : !axes.includes(axis)));
}

/** Shape after Unsqueeze. */
export function unsqueezed(operator: Operator, dims: readonly number[]): number[] {
  const list = operator.listOf('axes', 1) ?? [];
  const rank = dims.length + list.length;
  const axes = list.map((axis) => axisOf(operator, axis, rank));
  const left = [...dims];
  return plainOrder(rank).map((axis) => (axes.includes(axis) ? 1 : left.shift()!));
}

const reshapedBy =
  (shape: (operator: Operator, dims: readonly number[]) => number[]): Converter =>
  (operator) => {
    const x = operator.activation(0);
    const dims = shape(operator, x.dims);
    if (!fits(x.dims, dims)) throw operator.fail(`[${x.dims.join(', ')}] cannot become [${dims.join(', ')}]`);
    return [reshape(operator.builder, x, dims)];
  };

export function permutationOf(operator: Operator, rank: number): number[] {
  const permutation = operator.integers('perm') ?? plainOrder(rank).reverse();
  if (permutation.length === rank && plainOrder(rank).every((axis) => permutation.includes(axis))) return permutation;
  throw operator.fail(`perm [${permutation.join(', ')}] does not order ${rank} axes`);
}

const concat: Converter = (operator) => {
  const { builder } = operator;
  const values = Array.from({ length: operator.count }, (_, index) => operator.input(index)!);
  // The order that most of them have costs the fewest copies.
  const orders = values.flatMap((value) => (value.kind === 'activation' ? [value.order] : []));
  const votes = orders.map((order) => orders.filter((other) => other.join() === order.join()).length);
  const order = orders[votes.indexOf(Math.max(...votes))];
  const rank = order.length;
  const axis = axisOf(operator, operator.integer('axis', 1), rank);
  const parts = values.map((value) => {
    if (value.dims.length !== rank) throw operator.fail('its inputs have different numbers of axes');
    if (value.kind === 'activation') return ordered(builder, value, order).node;
    if (!(value.values instanceof Float32Array))
      throw operator.fail('a constant of integers is joined with a calculated tensor');
    const values = transposed(value.values, value.dims, order);
    return builder.floats(values, physicalDims({ dims: value.dims, order }), `${operator.name}/constant`);
  });
  const dims = values[0].dims.map((size, at) =>
    at === axis ? values.reduce((sum, value) => sum + value.dims[at], 0) : size,
  );
  const input = [...parts, builder.integer(order.indexOf(axis), 'axis')];
  const attr = { N: { i: String(parts.length) }, Tidx: attribute.int32 };
  return [{ kind: 'activation', node: builder.node('ConcatV2', input, attr, operator.name), dims, order }];
};

/** Cuts `count[axis]` values from `begin[axis]` on, every `step[axis]`-th, ONNX's axes. */
function cut(
  operator: Operator,
  x: Activation,
  begin: readonly number[],
  count: readonly number[],
  step: readonly number[],
): Activation {
  const { builder, name } = operator;
  const place = (list: readonly number[]): number[] => x.order.map((axis) => list[axis]);
  const from = builder.integers(place(begin), 'begin');
  if (count.every((size, axis) => size === x.dims[axis])) return x;
  if (step.every((size) => size === 1)) {
    const node = builder.node(
      'Slice',
      [x.node, from, builder.integers(place(count), 'size')],
      { Index: attribute.int32 },
      name,
    );
    return { ...x, node, dims: count };
  }
  return { ...x, node: strided(operator, x, begin, count, step), dims: count };
}

/**
 * Every `step`-th row or column, one axis after the other. Not by StridedSlice, which takes some 40 ms for a picture on the
 * WASM backend (4.22): where the step divides the size, a slice of a matrix with one line per step takes a few.
 */
function strided(
  { builder, name }: Operator,
  x: Activation,
  begin: readonly number[],
  count: readonly number[],
  step: readonly number[],
): string {
  const sizes = physicalDims(x);
  const shaped = (node: string, dims: readonly number[]): string =>
    builder.node('Reshape', [node, builder.integers(dims, 'shape')], { Tshape: attribute.int32 }, name);
  return x.order.reduce((source, axis, at) => {
    if (count[axis] === x.dims[axis]) return source;
    const inner = sizeOf(sizes.slice(at + 1));
    const rows = sizeOf(sizes.slice(0, at)) * count[axis];
    sizes[at] = count[axis];
    if (begin[axis] < step[axis] && count[axis] * step[axis] === x.dims[axis]) {
      const place = builder.integers([0, begin[axis] * inner], 'begin');
      const matrix = shaped(source, [rows, step[axis] * inner]);
      const input = [matrix, place, builder.integers([rows, inner], 'size')];
      return shaped(builder.node('Slice', input, { Index: attribute.int32 }, name), sizes);
    }
    const indices = Array.from({ length: count[axis] }, (_, index) => begin[axis] + index * step[axis]);
    const input = [source, builder.integers(indices, 'indices'), builder.integer(at, 'axis')];
    return builder.node('GatherV2', input, { Taxis: attribute.int32, Tindices: attribute.int32 }, name);
  }, x.node);
}

/** What a Slice takes: first index, count and step per axis. */
export function sliceOf(operator: Operator, dims: readonly number[]): Record<'begin' | 'count' | 'step', number[]> {
  const begin = dims.map(() => 0);
  const count = [...dims];
  const step = dims.map(() => 1);
  const old = operator.opset < 10;
  const starts = operator.listOf('starts', 1) ?? [];
  const ends = operator.listOf('ends', 2) ?? [];
  const axes = (old ? operator.integers('axes') : operator.listOf('axes', 3)) ?? plainOrder(starts.length);
  const steps = old ? undefined : operator.listOf('steps', 4);
  for (const [index, listed] of axes.entries()) {
    const axis = axisOf(operator, listed, dims.length);
    const size = dims[axis];
    step[axis] = steps?.[index] ?? 1;
    if (!(step[axis] >= 1)) throw operator.fail(`step ${step[axis]} is not supported; 1 and more are`);
    const bound = (value: number): number => Math.max(0, Math.min(size, value < 0 ? value + size : value));
    begin[axis] = bound(starts[index]);
    count[axis] = Math.max(0, Math.ceil((bound(ends[index]) - begin[axis]) / step[axis]));
  }
  return { begin, count, step };
}

const slice: Converter = (operator) => {
  const x = operator.activation(0);
  const { begin, count, step } = sliceOf(operator, x.dims);
  if (sizeOf(count) === 0) throw operator.fail('its result is empty');
  return [cut(operator, x, begin, count, step)];
};

const split: Converter = (operator): Value[] => {
  const x = operator.activation(0);
  const axis = axisOf(operator, operator.integer('axis', 0), x.dims.length);
  const parts = operator.outputs.length;
  const even = Math.ceil(x.dims[axis] / parts);
  const sizes =
    operator.listOf('split', 1) ??
    Array.from({ length: parts }, (_, part) => Math.min(even, x.dims[axis] - part * even));
  let start = 0;
  return sizes.map((size) => {
    const begin = x.dims.map((_, at) => (at === axis ? start : 0));
    start += size;
    if (start > x.dims[axis] || size < 1) throw operator.fail(`[${sizes.join(', ')}] do not split ${x.dims[axis]}`);
    return cut(
      operator,
      x,
      begin,
      x.dims.map((all, at) => (at === axis ? size : all)),
      x.dims.map(() => 1),
    );
  });
};

const gather: Converter = (operator) => {
  const { builder, name } = operator;
  const x = operator.activation(0);
  const axis = axisOf(operator, operator.integer('axis', 0), x.dims.length);
  const indices = operator.constant(1);
  if (indices === undefined || indices.dims.length > 1)
    throw operator.fail('indices of more than one axis are not supported');
  const picked = integersOf(indices).map((index) => axisOf(operator, index, x.dims[axis]));
  const input = [x.node, builder.integers(picked, 'indices'), builder.integer(x.order.indexOf(axis), 'axis')];
  const node = builder.node('GatherV2', input, { Taxis: attribute.int32, Tindices: attribute.int32 }, name);
  const dims = x.dims.map((size, at) => (at === axis ? picked.length : size));
  const result: Activation = { ...x, node, dims };
  return [
    indices.dims.length === 1
      ? result
      : reshape(
          builder,
          result,
          dims.filter((_, at) => at !== axis),
        ),
  ];
};

const pad: Converter = (operator) => {
  const { builder, name } = operator;
  const x = operator.activation(0);
  const mode = operator.text('mode', 'constant');
  if (mode !== 'constant') throw operator.fail(`mode ${mode} is not supported; constant is`);
  const sides = operator.listOf('pads', 1) ?? [];
  const rank = x.dims.length;
  if (operator.input(3) !== undefined || sides.length !== 2 * rank) throw operator.fail('pads must name every axis');
  if (sides.some((size) => size < 0)) throw operator.fail('negative pads are not supported');
  const value = operator.opset < 11 ? operator.float('value', 0) : (operator.constant(2)?.values[0] ?? 0);
  const flat = x.order.flatMap((axis) => [sides[axis], sides[axis + rank]]);
  const outside = builder.floats(Float32Array.of(value), [], `${name}/outside`);
  const node = builder.node('PadV2', [x.node, pairs(operator, flat), outside], { Tpaddings: attribute.int32 }, name);
  return [{ ...x, node, dims: x.dims.map((size, axis) => size + sides[axis] + sides[axis + rank]) }];
};

const depthToSpace: Converter = (operator) => {
  const { builder } = operator;
  const x = operator.activation(0);
  const block = operator.integer('blocksize', 1);
  const [n, c, h, w] = x.dims;
  const less = c / block ** 2;
  const columnsFirst = operator.text('mode', 'DCR') === 'CRD';
  const wide = columnsFirst ? [n, less, block, block, h, w] : [n, block, block, less, h, w];
  if (x.dims.length !== 4 || !fits(x.dims, wide))
    throw operator.fail(`blocksize ${block} does not go with ${c} channels`);
  const moved = transpose(reshape(builder, x, wide), columnsFirst ? [0, 1, 4, 2, 5, 3] : [0, 3, 4, 1, 5, 2]);
  return [reshape(builder, moved, [n, less, h * block, w * block])];
};

const spaceToDepth: Converter = (operator) => {
  const { builder } = operator;
  const x = operator.activation(0);
  const block = operator.integer('blocksize', 1);
  const [n, c, h, w] = x.dims;
  const wide = [n, c, h / block, block, w / block, block];
  if (x.dims.length !== 4 || !fits(x.dims, wide)) throw operator.fail(`blocksize ${block} does not divide ${h}x${w}`);
  const moved = transpose(reshape(builder, x, wide), [0, 3, 5, 1, 2, 4]);
  return [reshape(builder, moved, [n, c * block * block, h / block, w / block])];
};

const expand: Converter = (operator) => {
  const x = operator.activation(0);
  const wanted = operator.constant(1);
  const same =
    wanted &&
    integersOf(wanted).every((size, at, all) => size === 1 || size === x.dims[at + x.dims.length - all.length]);
  if (!same) throw operator.fail('repeating a calculated tensor is not supported');
  return [x];
};

export const shaping: Readonly<Record<string, Converter>> = {
  Reshape: reshapeOperator,
  Flatten: flatten,
  Squeeze: reshapedBy(squeezed),
  Unsqueeze: reshapedBy(unsqueezed),
  Transpose: (operator) => {
    const x = operator.activation(0);
    return [transpose(x, permutationOf(operator, x.dims.length))];
  },
  Concat: concat,
  Slice: slice,
  Split: split,
  Gather: gather,
  Pad: pad,
  DepthToSpace: depthToSpace,
  SpaceToDepth: spaceToDepth,
  Expand: expand,
};
