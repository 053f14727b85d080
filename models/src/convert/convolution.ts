import { clipBounds } from './elementwise.js';
import { type Attribute, attribute } from './graph-builder.js';
import { ordered } from './layout.js';
import type { Converter, Operator } from './operator.js';
import { isSame, isUnpadded, type Window, windowOf } from './padding.js';
import { type Activation, type Constant, NHWC, transposed, type Value } from './value.js';

/** Weights [out, in / groups, height, width] and a bias per output channel. */
interface Kernel {
  dims: readonly number[];
  weights: Float32Array;
  bias: Float32Array | undefined;
}

/** Activations that TensorFlow.js' convolutions apply to their result as they write it. */
const FUSED: Readonly<Record<string, string>> = { Relu: 'Relu', Sigmoid: 'Sigmoid', LeakyRelu: 'LeakyRelu' };

/** Name of the activation when it can be part of a convolution. */
export function fusedActivation(operator: Operator): string | undefined {
  if (operator.type !== 'Clip') return FUSED[operator.type];
  // A bound may be calculated; that is no fused activation, and the Clip itself will say what is wrong.
  if ([1, 2].some((index) => operator.input(index)?.kind === 'activation')) return undefined;
  const [low, high] = clipBounds(operator);
  if (low !== 0) return undefined;
  return high === 6 ? 'Relu6' : high >= 3.4e38 ? 'Relu' : undefined;
}

/** Conv, with the BatchNormalization and the activation that follow it. */
export const convolution: Converter = (operator) => {
  const x = operator.activation(0);
  const weights = operator.constant(1);
  if (!(weights?.values instanceof Float32Array)) throw operator.fail('it has no float weights');
  if (weights.dims.length !== 4) throw operator.fail(`weights [${weights.dims.join(', ')}]: only Conv2D is supported`);
  const groups = operator.integer('group', 1);
  const window = windowOf(operator, x.dims, weights.dims.slice(2));
  if (Math.max(...window.strides) > 1 && Math.max(...window.dilations) > 1) {
    throw operator.fail('strides and dilations together are not supported by TensorFlow.js');
  }
  const channels = x.dims[1];
  if (weights.dims[1] * groups !== channels || weights.dims[0] % groups !== 0) {
    throw operator.fail(`weights [${weights.dims.join(', ')}] do not go with ${channels} channels in ${groups} groups`);
  }
  const kernel = normalised(operator, {
    dims: weights.dims,
    weights: weights.values,
    bias: floatsOf(operator, operator.constant(2)),
  });
  const last = operator.fused.at(-1);
  const activation = last === undefined || last.type === 'BatchNormalization' ? undefined : fusedActivation(last);
  const alpha = activation === 'LeakyRelu' ? last!.float('alpha', 0.01) : 0.2;
  const input = ordered(operator.builder, x, NHWC);
  const dims = [x.dims[0], weights.dims[0], ...window.out];
  const emit = (node: string, part: Kernel, depthwise: boolean): string =>
    emitConvolution(operator, node, x.dims, window, part, { depthwise, activation, alpha });
  if (groups === 1) return [result(emit(input.node, kernel, false), dims)];
  if (groups === channels) return [result(emit(input.node, kernel, true), dims)];
  return [
    result(
      grouped(operator, input, kernel, groups, (node, part) => emit(node, part, false)),
      dims,
    ),
  ];
};

function result(node: string, dims: readonly number[]): Activation {
  return { kind: 'activation', node, dims, order: NHWC };
}

/** Folds y = scale · (x − mean) / √(variance + ε) + shift into the weights. */
function normalised(operator: Operator, kernel: Kernel): Kernel {
  const normalisation = operator.fused.find(({ type }) => type === 'BatchNormalization');
  if (normalisation === undefined) return kernel;
  const [factor, shift] = normalisationOf(normalisation, kernel.dims[0]);
  const per = kernel.weights.length / kernel.dims[0];
  return {
    dims: kernel.dims,
    weights: kernel.weights.map((value, index) => value * factor[Math.floor(index / per)]),
    bias: shift.map((value, channel) => value + (kernel.bias?.[channel] ?? 0) * factor[channel]),
  };
}

/** BatchNormalization as a factor and a shift per channel. */
function normalisationOf(operator: Operator, channels: number): [factor: Float32Array, shift: Float32Array] {
  const [scale, bias, mean, variance] = [1, 2, 3, 4].map((index) => floatsOf(operator, operator.constant(index)));
  const all = [scale, bias, mean, variance];
  if (all.some((values) => values?.length !== channels)) throw operator.fail(`its parameters are not ${channels} each`);
  const epsilon = operator.float('epsilon', 1e-5);
  const factor = scale!.map((value, channel) => value / Math.sqrt(variance![channel] + epsilon));
  return [factor, bias!.map((value, channel) => value - mean![channel] * factor[channel])];
}

function floatsOf(operator: Operator, constant: Constant | undefined): Float32Array | undefined {
  if (constant === undefined || constant.values instanceof Float32Array) return constant?.values as Float32Array;
  throw operator.fail('a parameter is not float');
}

function emitConvolution(
  operator: Operator,
  node: string,
  inputDims: readonly number[],
  window: Window,
  { dims, weights, bias }: Kernel,
  { depthwise, activation, alpha }: { depthwise: boolean; activation?: string; alpha: number },
): string {
  const { builder, name } = operator;
  const [out, perGroup, height, width] = dims;
  const filter = depthwise
    ? // [channels · multiplier, 1, h, w] → [h, w, channels, multiplier]
      builder.floats(
        transposed(weights, [out, height, width], [1, 2, 0]),
        [height, width, inputDims[1], out / inputDims[1]],
        `${name}/weights`,
      )
    : builder.floats(transposed(weights, dims, [2, 3, 1, 0]), [height, width, perGroup, out], `${name}/weights`);
  const { top, bottom, left, right } = window.pads;
  const same = isSame(window, inputDims);
  const attr: Record<string, Attribute> = {
    strides: attribute.ints([1, ...window.strides, 1]),
    dilations: attribute.ints([1, ...window.dilations, 1]),
    data_format: attribute.text('NHWC'),
    padding: attribute.text(same ? 'SAME' : isUnpadded(window) ? 'VALID' : 'EXPLICIT'),
    ...(same || isUnpadded(window)
      ? {}
      : { explicit_paddings: attribute.ints([0, 0, top, bottom, left, right, 0, 0]) }),
  };
  if (bias === undefined && activation === undefined) {
    return builder.node(depthwise ? 'DepthwiseConv2dNative' : 'Conv2D', [node, filter], attr, name);
  }
  const added = builder.floats(bias ?? new Float32Array(out), [out], `${name}/bias`);
  const fused: Record<string, Attribute> = {
    ...attr,
    num_args: { i: '1' },
    fused_ops: attribute.texts(activation === undefined ? ['BiasAdd'] : ['BiasAdd', activation]),
    epsilon: { f: 0 },
    leakyrelu_alpha: { f: alpha },
  };
  return builder.node(depthwise ? 'FusedDepthwiseConv2dNative' : '_FusedConv2D', [node, filter, added], fused, name);
}

/** TensorFlow.js knows no groups but one and one per channel: each group is a convolution of its own. */
function grouped(
  operator: Operator,
  input: Activation,
  kernel: Kernel,
  groups: number,
  emit: (node: string, part: Kernel) => string,
): string {
  const { builder, name } = operator;
  const per = input.dims[1] / groups;
  const out = kernel.dims[0] / groups;
  const size = kernel.weights.length / groups;
  const [, , height, width] = input.dims;
  const parts = Array.from({ length: groups }, (_, group) => {
    const begin = builder.integers([0, 0, 0, group * per], 'begin');
    const extent = builder.integers([input.dims[0], height, width, per], 'size');
    const slice = builder.node('Slice', [input.node, begin, extent], { Index: attribute.int32 }, `${name}/group`);
    return emit(slice, {
      dims: [out, ...kernel.dims.slice(1)],
      weights: kernel.weights.slice(group * size, (group + 1) * size),
      bias: kernel.bias?.slice(group * out, (group + 1) * out),
    });
  });
  const axis = builder.integer(3, 'axis');
  return builder.node(
    'ConcatV2',
    [...parts, axis],
    { N: { i: String(groups) }, Tidx: attribute.int32 },
    `${name}/groups`,
  );
}

/** A BatchNormalization that follows no convolution. */
export const batchNormalization: Converter = (operator): Value[] => {
  const { builder, name } = operator;
  const x = operator.activation(0);
  const [factor, shift] = normalisationOf(operator, x.dims[1]);
  // One value per channel: the channels must stand last.
  const others = x.order.filter((axis) => axis !== 1);
  const source = ordered(builder, x, [...others, 1]);
  const scaled = builder.node(
    'Mul',
    [source.node, builder.floats(factor, [factor.length], `${name}/factor`)],
    {},
    name,
  );
  return [
    {
      ...source,
      node: builder.node('AddV2', [scaled, builder.floats(shift, [shift.length], `${name}/shift`)], {}, name),
    },
  ];
};
