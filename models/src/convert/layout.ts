import { attribute, type GraphBuilder } from './graph-builder.js';
import { type Activation, physicalDims, plainOrder, sizeOf } from './value.js';

/**
 * Reordering and reshaping with as few copies as possible: a transposition is only noted down, and a reshape works on the
 * axes as they stand whenever the axes it merges or splits stand side by side there. So heads that go from NCHW to
 * `[1, locations, channels]` cost nothing, and channel shuffles one transposition.
 */

/** The same tensor with its axes standing in `order`. */
export function ordered(builder: GraphBuilder, x: Activation, order: readonly number[]): Activation {
  if (same(x.order, order)) return x;
  const big = (axis: number): boolean => x.dims[axis] !== 1;
  // Axes of size 1 move without moving a value.
  if (same(x.order.filter(big), order.filter(big))) {
    const node = reshapeNode(builder, x.node, physicalDims({ dims: x.dims, order }));
    return { ...x, node, order };
  }
  const permutation = order.map((axis) => x.order.indexOf(axis));
  const input = [x.node, builder.integers(permutation, 'permutation')];
  return { ...x, node: builder.node('Transpose', input, { Tperm: attribute.int32 }, `${x.node}/transpose`), order };
}

/** The same tensor with its axes standing as ONNX has them. */
export function plain(builder: GraphBuilder, x: Activation): Activation {
  return ordered(builder, x, plainOrder(x.dims.length));
}

/** ONNX Transpose: axis i of the result is axis `permutation[i]` of `x`. Noted down, not done. */
export function transpose(x: Activation, permutation: readonly number[]): Activation {
  return {
    ...x,
    dims: permutation.map((axis) => x.dims[axis]),
    order: x.order.map((axis) => permutation.indexOf(axis)),
  };
}

/** ONNX Reshape to `dims` of the same size. */
export function reshape(builder: GraphBuilder, x: Activation, dims: readonly number[]): Activation {
  if (same(x.dims, dims)) return x;
  const groups = matchAxes(x.dims, dims);
  const place = (group: Group): number => Math.min(...group.from.map((axis) => x.order.indexOf(axis)));
  groups.sort((a, b) => place(a) - place(b));
  const ones = (sizes: readonly number[]): number[] => plainOrder(sizes.length).filter((axis) => sizes[axis] === 1);
  const wanted = groups.flatMap((group) => group.from);
  const inPlace = same(
    x.order.filter((axis) => x.dims[axis] !== 1),
    wanted,
  );
  const source = inPlace ? x : ordered(builder, x, [...ones(x.dims), ...wanted]);
  const order = [...ones(dims), ...groups.flatMap((group) => group.to)];
  const target = { dims, order };
  return { kind: 'activation', node: reshapeNode(builder, source.node, physicalDims(target)), dims, order };
}

interface Group {
  from: number[];
  to: number[];
}

/** Which axes (without those of size 1) of one shape hold the same values as which of the other. */
function matchAxes(from: readonly number[], to: readonly number[]): Group[] {
  const groups: Group[] = [];
  let i = 0;
  let j = 0;
  while (true) {
    while (from[i] === 1) i++;
    while (to[j] === 1) j++;
    if (i >= from.length || j >= to.length) return groups;
    const group: Group = { from: [i], to: [j] };
    let left = from[i++];
    let right = to[j++];
    while (left !== right) {
      if (left < right) {
        if (from[i] !== 1) group.from.push(i);
        left *= from[i++];
      } else {
        if (to[j] !== 1) group.to.push(j);
        right *= to[j++];
      }
    }
    groups.push(group);
  }
}

function reshapeNode(builder: GraphBuilder, node: string, dims: readonly number[]): string {
  const input = [node, builder.integers(dims, 'shape')];
  return builder.node('Reshape', input, { Tshape: attribute.int32 }, `${node}/reshape`);
}

/** `dims` with ones before them up to `rank`; the values stay where they are. */
export function widened(builder: GraphBuilder, x: Activation, rank: number): Activation {
  const missing = rank - x.dims.length;
  if (missing <= 0) return x;
  const dims = [...new Array<number>(missing).fill(1), ...x.dims];
  const order = [...plainOrder(missing), ...x.order.map((axis) => axis + missing)];
  return { kind: 'activation', node: reshapeNode(builder, x.node, physicalDims({ dims, order })), dims, order };
}

/** Whether a shape has room for every value of another. */
export function fits(from: readonly number[], to: readonly number[]): boolean {
  return sizeOf(from) === sizeOf(to) && to.every((size) => size > 0);
}

function same(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((value, index) => value === b[index]);
}
