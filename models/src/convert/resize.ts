import { attribute } from './graph-builder.js';
import { ordered } from './layout.js';
import type { Converter, Operator } from './operator.js';
import { type Activation, type Constant, NHWC } from './value.js';

/**
 * Resize and Upsample. Which source pixel ONNX takes depends on two attributes, which one TensorFlow takes on two flags:
 * the index maps of both are calculated, and flags that give the same map are used. Source: ONNX operator Resize
 * (coordinate_transformation_mode, nearest_mode); TensorFlow's resize_nearest_neighbor and resize_bilinear kernels.
 */

interface Axis {
  from: number;
  to: number;
  /** ONNX's scale; not always to / from. */
  scale: number;
}

const TRANSFORMATIONS: Readonly<Record<string, (x: number, axis: Axis) => number>> = {
  half_pixel: (x, { scale }) => (x + 0.5) / scale - 0.5,
  pytorch_half_pixel: (x, { scale, to }) => (to > 1 ? (x + 0.5) / scale - 0.5 : 0),
  align_corners: (x, { from, to }) => (to > 1 ? (x * (from - 1)) / (to - 1) : 0),
  asymmetric: (x, { scale }) => x / scale,
};

const ROUNDINGS: Readonly<Record<string, (x: number) => number>> = {
  round_prefer_floor: (x) => Math.ceil(x - 0.5),
  round_prefer_ceil: (x) => Math.floor(x + 0.5),
  floor: Math.floor,
  ceil: Math.ceil,
};

/** TensorFlow's flags with the coordinate each reads for `x`. */
const FLAGS = [
  { corners: false, centers: false, at: (x: number, { from, to }: Axis) => (x * from) / to },
  { corners: false, centers: true, at: (x: number, { from, to }: Axis) => ((x + 0.5) * from) / to - 0.5 },
  { corners: true, centers: false, at: (x: number, { from, to }: Axis) => (to > 1 ? (x * (from - 1)) / (to - 1) : 0) },
] as const;

/** Emits a resize of `x` [N, C, H, W]. */
function resize(
  operator: Operator,
  x: Activation,
  axes: readonly Axis[],
  mode: string,
  rule: string,
  rounding: string,
): Activation {
  const transformation = TRANSFORMATIONS[rule];
  const round = ROUNDINGS[rounding];
  if (transformation === undefined) throw operator.fail(`coordinate_transformation_mode ${rule} is not supported`);
  if (round === undefined) throw operator.fail(`nearest_mode ${rounding} is not supported`);
  if (mode !== 'nearest' && mode !== 'linear')
    throw operator.fail(`mode ${mode} is not supported; nearest and linear are`);
  const source = ordered(operator.builder, x, NHWC);
  const dims = [x.dims[0], x.dims[1], axes[0].to, axes[1].to];
  const clamp = (value: number, { from }: Axis): number => Math.max(0, Math.min(from - 1, value));
  if (mode === 'nearest') {
    const wanted = axes.map((axis) => each(axis, (place) => clamp(round(stable(transformation(place, axis))), axis)));
    // The rounding of TensorFlow's kernels: floor, but round half away from zero where corners are aligned.
    const flags = FLAGS.find(({ corners, centers, at }) =>
      axes.every((axis, side) =>
        each(axis, (place) => {
          const coordinate = stable(at(place, axis) + (centers ? 0.5 : 0));
          return clamp(corners ? Math.floor(coordinate + 0.5) : Math.floor(coordinate), axis);
        }).every((index, place) => index === wanted[side][place]),
      ),
    );
    if (flags === undefined) return { ...source, node: gathered(operator, source.node, wanted), dims };
    return { ...source, node: emit(operator, 'ResizeNearestNeighbor', source.node, axes, flags), dims };
  }
  const flags = FLAGS.find(({ at }) =>
    axes.every((axis) =>
      each(axis, (place) => Math.abs(clamp(at(place, axis), axis) - clamp(transformation(place, axis), axis))).every(
        (gap) => gap < 1e-4,
      ),
    ),
  );
  if (flags === undefined) {
    const node = axes.reduce((from, axis, side) => {
      const places = each(axis, (place) => clamp(transformation(place, axis), axis));
      return between(operator, from, places, side + 1);
    }, source.node);
    return { ...source, node, dims };
  }
  return { ...source, node: emit(operator, 'ResizeBilinear', source.node, axes, flags), dims };
}

function each<T>({ to }: Axis, value: (place: number) => T): T[] {
  return Array.from({ length: to }, (_, place) => value(place));
}

/** Takes the last bits off, so that 2.9999999 is 3: kernels calculate in other orders. */
function stable(value: number): number {
  return Math.round(value * 1e6) / 1e6;
}

function emit(
  operator: Operator,
  op: string,
  node: string,
  axes: readonly Axis[],
  { corners, centers }: { corners: boolean; centers: boolean },
): string {
  const size = operator.builder.integers(
    axes.map(({ to }) => to),
    'size',
  );
  const attr = { align_corners: { b: corners }, half_pixel_centers: { b: centers } };
  return operator.builder.node(op, [node, size], attr, operator.name);
}

/** Any other choice of rows and columns, picked one by one. */
function gathered(operator: Operator, node: string, indices: readonly number[][]): string {
  const { builder, name } = operator;
  return indices.reduce((source, picked, side) => {
    const input = [source, builder.integers(picked, 'indices'), builder.integer(side + 1, 'axis')];
    return builder.node('GatherV2', input, { Taxis: attribute.int32, Tindices: attribute.int32 }, name);
  }, node);
}

/** Linear between neighbours along one axis of the graph; `places` are coordinates in the source. */
function between(operator: Operator, node: string, places: readonly number[], axis: number): string {
  const { builder, name } = operator;
  const side = (indices: readonly number[], shares: readonly number[]): string => {
    const input = [node, builder.integers(indices, 'indices'), builder.integer(axis, 'axis')];
    const picked = builder.node('GatherV2', input, { Taxis: attribute.int32, Tindices: attribute.int32 }, name);
    const dims = axis === 1 ? [shares.length, 1, 1] : [shares.length, 1];
    return builder.node('Mul', [picked, builder.floats(Float32Array.from(shares), dims, `${name}/shares`)], {}, name);
  };
  const parts = places.map((place) => place - Math.floor(place));
  const low = side(
    places.map(Math.floor),
    parts.map((part) => 1 - part),
  );
  return builder.node('AddV2', [low, side(places.map(Math.ceil), parts)], {}, name);
}

/** Sizes of height and width from `sizes` or `scales`, which are for all four axes. */
function axesOf(operator: Operator, x: Activation, scales: Constant | undefined, sizes: Constant | undefined): Axis[] {
  if (x.dims.length !== 4) throw operator.fail(`input [${x.dims.join(', ')}]: only pictures [N, C, H, W] are resized`);
  const given = sizes?.values.length ? sizes : scales;
  if (given?.values.length !== 4) throw operator.fail('four scales or sizes are needed');
  const all = [...given.values].map((value, axis): Axis => {
    const from = x.dims[axis];
    const to = given === sizes ? value : Math.floor(from * value + 1e-6);
    return { from, to, scale: given === sizes ? value / from : value };
  });
  if (all[0].from !== all[0].to || all[1].from !== all[1].to)
    throw operator.fail('only height and width can be resized');
  if (!all.every(({ to }) => to >= 1 && to <= 16384)) throw operator.fail('its result is empty or larger than 16384');
  return all.slice(2);
}

const resizeOperator: Converter = (operator) => {
  const x = operator.activation(0);
  if (operator.integer('antialias', 0) === 1) throw operator.fail('antialias is not supported');
  if (operator.integers('axes') !== undefined) throw operator.fail('axes are not supported');
  if (operator.text('keep_aspect_ratio_policy', 'stretch') !== 'stretch')
    throw operator.fail('keep_aspect_ratio_policy is not supported');
  const old = operator.opset < 11;
  const axes = axesOf(operator, x, operator.constant(old ? 1 : 2), old ? undefined : operator.constant(3));
  const rule = operator.text('coordinate_transformation_mode', old ? 'asymmetric' : 'half_pixel');
  const rounding = operator.text('nearest_mode', old ? 'floor' : 'round_prefer_floor');
  return [resize(operator, x, axes, operator.text('mode', 'nearest'), rule, rounding)];
};

const upsample: Converter = (operator) => {
  const x = operator.activation(0);
  const scales = operator.constant(1);
  if (scales === undefined)
    throw operator.fail('scales as an attribute (opset 7) are not supported; export with opset 9 or newer');
  return [
    resize(
      operator,
      x,
      axesOf(operator, x, scales, undefined),
      operator.text('mode', 'nearest'),
      'asymmetric',
      'floor',
    ),
  ];
};

export const resizing: Readonly<Record<string, Converter>> = { Resize: resizeOperator, Upsample: upsample };
