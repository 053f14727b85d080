import { attribute } from './graph-builder.js';
import { ordered } from './layout.js';
import { axisOf, type Converter, type Operator } from './operator.js';
import { isSame, isUnpadded, type Window, windowOf } from './padding.js';
import { type Activation, NHWC, plainOrder } from './value.js';

/** Pooling over windows and reductions over axes. */

const maxPool: Converter = (operator) => {
  const x = ordered(operator.builder, operator.activation(0), NHWC);
  const window = windowOf(operator, x.dims, operator.integers('kernel_shape') ?? []);
  if (operator.outputs[1]) throw operator.fail('its output of indices is not supported');
  const same = isSame(window, x.dims);
  // What lies outside must never win.
  const source = same || isUnpadded(window) ? x.node : padded(operator, x.node, window, Number.NEGATIVE_INFINITY);
  return [pooled(operator, 'MaxPool', source, x, window, same)];
};

const averagePool: Converter = (operator) => {
  const { builder, name } = operator;
  const x = ordered(builder, operator.activation(0), NHWC);
  const window = windowOf(operator, x.dims, operator.integers('kernel_shape') ?? []);
  const counted = operator.integer('count_include_pad', 0) === 1;
  const overhanging = window.overhang.some((size) => size > 0);
  if (isUnpadded(window)) return [pooled(operator, 'AvgPool', x.node, x, window, false)];
  // TensorFlow's SAME divides by the pixels that are there.
  if (!counted && isSame(window, x.dims)) return [pooled(operator, 'AvgPool', x.node, x, window, true)];
  if (counted && overhanging) throw operator.fail('ceil_mode together with count_include_pad is not supported');
  const sum = pooled(operator, 'AvgPool', padded(operator, x.node, window, 0), x, window, false);
  if (counted) return [sum];
  const shares = sharesInside(window, x.dims);
  const correction = builder.floats(shares, [...window.out, 1], `${name}/correction`);
  return [{ ...sum, node: builder.node('Mul', [sum.node, correction], {}, name) }];
};

function padded(operator: Operator, node: string, { pads, overhang }: Window, value: number): string {
  const { builder, name } = operator;
  const paddings = builder.floats(Float32Array.of(value), [], `${name}/outside`);
  const sides = [0, 0, pads.top, pads.bottom + overhang[0], pads.left, pads.right + overhang[1], 0, 0];
  return builder.node('PadV2', [node, pairs(operator, sides), paddings], { Tpaddings: attribute.int32 }, `${name}/pad`);
}

/** Paddings [rank, 2] of PadV2. */
export function pairs(operator: Operator, sides: readonly number[]): string {
  const flat = operator.builder.integers(sides, 'paddings');
  const shape = operator.builder.integers([sides.length / 2, 2], 'shape');
  return operator.builder.node('Reshape', [flat, shape], { T: attribute.int32, Tshape: attribute.int32 }, 'paddings');
}

function pooled(
  operator: Operator,
  op: string,
  node: string,
  x: Activation,
  window: Window,
  same: boolean,
): Activation {
  if (window.dilations.some((dilation) => dilation !== 1)) throw operator.fail('dilations are not supported');
  const attr = {
    ksize: attribute.ints([1, ...window.kernel, 1]),
    strides: attribute.ints([1, ...window.strides, 1]),
    padding: attribute.text(same ? 'SAME' : 'VALID'),
    data_format: attribute.text('NHWC'),
  };
  const dims = [x.dims[0], x.dims[1], ...window.out];
  return { kind: 'activation', node: operator.builder.node(op, [node], attr, operator.name), dims, order: NHWC };
}

/** For each window, pixels of the whole window per pixel that lies inside the picture. */
function sharesInside(window: Window, dims: readonly number[]): Float32Array {
  const inside = [0, 1].map((axis) => {
    const before = axis === 0 ? window.pads.top : window.pads.left;
    return Array.from({ length: window.out[axis] }, (_, step) => {
      const start = step * window.strides[axis] - before;
      return Math.min(dims[2 + axis], start + window.kernel[axis]) - Math.max(0, start);
    });
  });
  const whole = window.kernel[0] * window.kernel[1];
  return Float32Array.from(inside[0].flatMap((rows) => inside[1].map((columns) => whole / (rows * columns))));
}

/** Reduces `axes`; `keep` leaves them with size 1. */
function reduced(operator: Operator, op: string, x: Activation, axes: readonly number[], keep: boolean): Activation {
  const { builder, name } = operator;
  const places = axes.map((axis) => x.order.indexOf(axis)).sort((a, b) => a - b);
  const attr = { keep_dims: { b: keep }, Tidx: attribute.int32 };
  const node = builder.node(op, [x.node, builder.integers(places, 'axes')], attr, name);
  if (keep) return { ...x, node, dims: x.dims.map((size, axis) => (axes.includes(axis) ? 1 : size)) };
  const left = plainOrder(x.dims.length).filter((axis) => !axes.includes(axis));
  const order = x.order.filter((axis) => !axes.includes(axis)).map((axis) => left.indexOf(axis));
  return { kind: 'activation', node, dims: left.map((axis) => x.dims[axis]), order };
}

const reduce =
  (op: string): Converter =>
  (operator) => {
    const x = operator.activation(0);
    const listed = operator.listOf('axes', 1);
    if (!listed?.length && operator.integer('noop_with_empty_axes', 0) === 1) return [x];
    const rank = x.dims.length;
    const axes = listed?.length ? listed.map((axis) => axisOf(operator, axis, rank)) : plainOrder(rank);
    return [reduced(operator, op, x, axes, operator.integer('keepdims', 1) === 1)];
  };

const global =
  (op: string): Converter =>
  (operator) => {
    const x = operator.activation(0);
    return [reduced(operator, op, x, plainOrder(x.dims.length).slice(2), true)];
  };

export const pooling: Readonly<Record<string, Converter>> = {
  MaxPool: maxPool,
  AveragePool: averagePool,
  GlobalAveragePool: global('Mean'),
  GlobalMaxPool: global('Max'),
  ReduceMean: reduce('Mean'),
  ReduceMax: reduce('Max'),
  ReduceMin: reduce('Min'),
  ReduceSum: reduce('Sum'),
  ReduceProd: reduce('Prod'),
};
