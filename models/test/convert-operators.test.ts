import { describe, expect, it } from 'vitest';
import { compareConverted, OnnxGraph } from './convert-fixture.js';
import { noise } from './quantize-model-fixture.js';

/** Each case builds a small network; what it converts to must give what ONNX Runtime gives. */
type Build = (graph: OnnxGraph) => string[];

const PADS = { pads: [1, 1, 1, 1] };

const convolutions: Record<string, Build> = {
  'padding as SAME': (g) => [g.conv('image', 3, 8, 3, PADS)],
  'no padding': (g) => [g.conv('image', 3, 4, 3)],
  'stride 2, padded before and after': (g) => [g.conv('image', 3, 8, 3, { ...PADS, strides: [2, 2] })],
  'uneven padding and strides': (g) => [g.conv('image', 3, 4, 3, { pads: [0, 2, 1, 0], strides: [2, 1] })],
  'auto_pad SAME_UPPER': (g) => [g.conv('image', 3, 4, 3, { auto_pad: 'SAME_UPPER', strides: [2, 2] })],
  'auto_pad SAME_LOWER': (g) => [g.conv('image', 3, 4, 4, { auto_pad: 'SAME_LOWER', strides: [2, 2] })],
  dilated: (g) => [g.conv('image', 3, 4, 3, { pads: [2, 2, 2, 2], dilations: [2, 2] })],
  'without bias': (g) => [g.one('Conv', ['image', g.floats([5, 3, 1, 1])])],
  depthwise: (g) => [g.conv('image', 3, 3, 3, { ...PADS, group: 3 })],
  'depthwise, two per channel, stride 2': (g) => [
    g.conv('image', 3, 6, 5, { pads: [2, 2, 2, 2], group: 3, strides: [2, 2] }),
  ],
  'in two groups': (g) => [g.conv(g.conv('image', 3, 8, 1), 8, 6, 3, { ...PADS, group: 2 })],
  'with Relu': (g) => [g.one('Relu', [g.conv('image', 3, 4, 3, PADS)])],
  'with Relu6': (g) => [g.one('Clip', [g.conv('image', 3, 4, 3, PADS), g.floats([], [0]), g.floats([], [6])])],
  'with LeakyRelu': (g) => [g.one('LeakyRelu', [g.conv('image', 3, 4, 3, PADS)], { alpha: { f: 0.1 } })],
  'depthwise with LeakyRelu': (g) => [
    g.one('LeakyRelu', [g.conv('image', 3, 3, 3, { ...PADS, group: 3 })], { alpha: { f: 0.1 } }),
  ],
  'depthwise with Relu6': (g) => [
    g.one('Clip', [g.conv('image', 3, 3, 3, { ...PADS, group: 3 }), g.floats([], [0]), g.floats([], [6])]),
  ],
  'depthwise with Sigmoid': (g) => [g.one('Sigmoid', [g.conv('image', 3, 3, 3, { ...PADS, group: 3 })])],
  'with Sigmoid': (g) => [g.one('Sigmoid', [g.conv('image', 3, 4, 3, PADS)])],
  'with SiLU': (g) => {
    const y = g.conv('image', 3, 4, 3, PADS);
    return [g.one('Mul', [y, g.one('Sigmoid', [y])])];
  },
  'read twice: the activation is not part of it': (g) => {
    const y = g.conv('image', 3, 4, 3, PADS);
    return [g.one('Relu', [y]), g.one('Neg', [y])];
  },
  'with BatchNormalization and Relu': (g) => {
    const y = g.one('Conv', ['image', g.floats([6, 3, 3, 3])], PADS);
    const variance = g.floats([6], [0.5, 1, 2, 0.1, 3, 1]);
    return [g.one('Relu', [g.one('BatchNormalization', [y, g.floats([6]), g.floats([6]), g.floats([6]), variance])])];
  },
  'BatchNormalization alone': (g) => [
    g.one('BatchNormalization', ['image', g.floats([3]), g.floats([3]), g.floats([3]), g.floats([3], [1, 2, 3])]),
  ],
};

const pooling: Record<string, Build> = {
  'max 2': (g) => [g.one('MaxPool', ['image'], { kernel_shape: [2, 2], strides: [2, 2] })],
  'max 3, stride 2, padded: nothing outside wins': (g) => [
    g.one('MaxPool', [g.one('Neg', [g.one('Abs', ['image'])])], { kernel_shape: [3, 3], strides: [2, 2], ...PADS }),
  ],
  'max 5, stride 1': (g) => [
    g.one('MaxPool', ['image'], { kernel_shape: [5, 5], pads: [2, 2, 2, 2], strides: [1, 1] }),
  ],
  'max, ceil_mode': (g) => [g.one('MaxPool', ['image'], { kernel_shape: [3, 3], strides: [2, 2], ceil_mode: 1 })],
  average: (g) => [g.one('AveragePool', ['image'], { kernel_shape: [2, 2], strides: [2, 2] })],
  'average, padding left out': (g) => [
    g.one('AveragePool', ['image'], { kernel_shape: [3, 3], strides: [2, 2], ...PADS }),
  ],
  'average, padding counted': (g) => [
    g.one('AveragePool', ['image'], { kernel_shape: [3, 3], strides: [2, 2], count_include_pad: 1, ...PADS }),
  ],
  'average as SAME': (g) => [g.one('AveragePool', ['image'], { kernel_shape: [3, 3], strides: [1, 1], ...PADS })],
  'global average': (g) => [g.one('GlobalAveragePool', ['image'])],
  'global max': (g) => [g.one('GlobalMaxPool', ['image'])],
  'ReduceMean over the picture, flat': (g) => [g.one('ReduceMean', ['image'], { axes: [2, 3], keepdims: 0 })],
  'ReduceMax over channels': (g) => [g.one('ReduceMax', ['image'], { axes: [1], keepdims: 0 })],
};

const resize =
  (scales: number[], attributes: Record<string, string>): Build =>
  (g) => [g.one('Resize', [g.conv('image', 3, 4, 1), '', g.floats([4], [1, 1, ...scales])], attributes)];
const modes = ['half_pixel', 'pytorch_half_pixel', 'align_corners', 'asymmetric'];
const resizing: Record<string, Build> = {
  ...Object.fromEntries(
    modes.flatMap((rule) => [
      [`linear x2 ${rule}`, resize([2, 2], { mode: 'linear', coordinate_transformation_mode: rule })],
      [`nearest x2 ${rule}`, resize([2, 2], { mode: 'nearest', coordinate_transformation_mode: rule })],
      [
        `nearest x2 ${rule} floor`,
        resize([2, 2], { mode: 'nearest', coordinate_transformation_mode: rule, nearest_mode: 'floor' }),
      ],
    ]),
  ),
  'nearest x3 by 2, ceil': resize([3, 2], {
    mode: 'nearest',
    coordinate_transformation_mode: 'asymmetric',
    nearest_mode: 'ceil',
  }),
  'linear to half': resize([0.5, 0.5], { mode: 'linear' }),
  'linear to sizes': (g) => [g.one('Resize', ['image', '', '', g.integers([1, 3, 17, 9])], { mode: 'linear' })],
};

const shapes: Record<string, Build> = {
  'head: [1, C, H, W] to [1, HW, C]': (g) => {
    const y = g.conv('image', 3, 4, 3, { ...PADS, strides: [2, 2] });
    return [g.one('Transpose', [g.one('Reshape', [y, g.integers([1, 4, -1])])], { perm: [0, 2, 1] })];
  },
  'reshape that keeps the order of NCHW': (g) => [g.one('Reshape', ['image', g.integers([1, g.height, 3 * g.width])])],
  flatten: (g) => [g.one('Flatten', [g.conv('image', 3, 4, 3)])],
  'shuffle of channels': (g) => {
    const [h, w] = [g.height, g.width];
    const split = g.one('Reshape', [g.conv('image', 3, 8, 1), g.integers([1, 2, 4, h, w])]);
    const mixed = g.one('Reshape', [g.one('Transpose', [split], { perm: [0, 2, 1, 3, 4] }), g.integers([1, 8, h, w])]);
    return [g.conv(mixed, 8, 4, 3, PADS)];
  },
  'anchors: [1, A·K, H, W] to [1, A, H, W, K]': (g) => {
    const split = g.one('Reshape', [g.conv('image', 3, 6, 1), g.integers([1, 3, 2, g.height, g.width])]);
    return [g.one('Transpose', [split], { perm: [0, 1, 3, 4, 2] })];
  },
  'concat of channels': (g) => [g.one('Concat', [g.conv('image', 3, 4, 1), 'image'], { axis: 1 })],
  'concat of places': (g) => {
    const flat = (y: string) => g.one('Reshape', [y, g.integers([1, 4, -1])]);
    return [g.one('Concat', [flat(g.conv('image', 3, 4, 1)), flat(g.conv('image', 3, 4, 3))], { axis: 2 })];
  },
  'split in halves': (g) => {
    const [a, b] = g.node('Split', [g.conv('image', 3, 8, 1), g.integers([3, 5])], { axis: 1 }, 2);
    return [g.conv(a, 3, 2, 1), b];
  },
  'slice with steps (focus)': (g) => {
    const rows = g.one('Slice', ['image', g.integers([1]), g.integers([2 ** 31]), g.integers([2]), g.integers([2])]);
    return [g.one('Slice', [rows, g.integers([0]), g.integers([-1]), g.integers([3]), g.integers([2])])];
  },
  'shape arithmetic': (g) => {
    const y = g.conv('image', 3, 4, 3, PADS);
    const height = g.one('Unsqueeze', [g.one('Gather', [g.one('Shape', [y]), g.integers([2], [])]), g.integers([0])]);
    return [g.one('Reshape', [y, g.one('Concat', [g.integers([1, -1]), height, g.integers([g.width])], { axis: 0 })])];
  },
  'squeeze and unsqueeze': (g) => {
    const mean = g.one('ReduceMean', ['image'], { axes: [1], keepdims: 1 });
    return [g.one('Unsqueeze', [g.one('Squeeze', [mean, g.integers([1])]), g.integers([3])])];
  },
  'depth to space': (g) => [g.one('DepthToSpace', [g.conv('image', 3, 8, 1)], { blocksize: 2, mode: 'DCR' })],
  'depth to space, columns first': (g) => [
    g.one('DepthToSpace', [g.conv('image', 3, 8, 1)], { blocksize: 2, mode: 'CRD' }),
  ],
  pad: (g) => [g.one('Pad', ['image', g.integers([0, 0, 1, 2, 0, 0, 3, 0]), g.floats([], [0.5])])],
  'gather of channels': (g) => [g.one('Gather', ['image', g.integers([2, 0, 1])], { axis: 1 })],
};

const arithmetic: Record<string, Build> = {
  'a bias per channel': (g) => [g.one('Add', [g.conv('image', 3, 4, 1), g.floats([4, 1, 1])])],
  'a map per place': (g) => [g.one('Mul', ['image', g.floats([1, 1, g.height, g.width])])],
  'a row': (g) => [g.one('Sub', [g.floats([g.width]), 'image'])],
  'a gate per channel': (g) => [g.one('Mul', ['image', g.one('Sigmoid', [g.one('GlobalAveragePool', ['image'])])])],
  'of different orders': (g) => {
    const turned = g.one('Transpose', ['image'], { perm: [0, 1, 3, 2] });
    return [g.one('Add', [g.one('Transpose', [turned], { perm: [0, 1, 3, 2] }), 'image']), g.one('Abs', [turned])];
  },
  'unary functions': (g) =>
    ['Tanh', 'Exp', 'Floor', 'Ceil', 'Softplus', 'Erf', 'Neg', 'Elu'].map((op) => g.one(op, ['image'])),
  HardSwish: (g) => [g.one('HardSwish', ['image'])],
  HardSigmoid: (g) => [g.one('HardSigmoid', ['image'], { alpha: { f: 0.1667 }, beta: { f: 0.5 } })],
  'Clip with other bounds': (g) => [g.one('Clip', ['image', g.floats([], [-0.2]), g.floats([], [0.3])])],
  PRelu: (g) => [g.one('PRelu', ['image', g.floats([3, 1, 1])])],
  'powers, largest and smallest': (g) => [
    g.one('Pow', ['image', g.floats([], [2])]),
    g.one('Max', ['image', g.floats([], [0.1])]),
    g.one('Min', ['image', g.floats([3, 1, 1])]),
    g.one('Div', ['image', g.floats([], [4])]),
  ],
  'classifier: pooling, Gemm, Softmax': (g) => {
    const flat = g.one('Flatten', [g.one('GlobalAveragePool', [g.conv('image', 3, 8, 3)])]);
    return [g.one('Softmax', [g.one('Gemm', [flat, g.floats([5, 8]), g.floats([5])], { transB: 1 })], { axis: 1 })];
  },
  'Gemm of a picture that is laid flat': (g) => {
    const flat = g.one('Flatten', [g.one('MaxPool', ['image'], { kernel_shape: [4, 4], strides: [4, 4] })]);
    return [g.one('Gemm', [flat, g.floats([3 * Math.floor(g.height / 4) * Math.floor(g.width / 4), 7])])];
  },
  'MatMul with weights and of two': (g) => {
    const flat = g.one('Reshape', ['image', g.integers([1, 3, -1])]);
    const turned = g.one('Transpose', [flat], { perm: [0, 2, 1] });
    return [g.one('MatMul', [turned, g.floats([3, 5])]), g.one('MatMul', [flat, turned])];
  },
  'Softmax over channels': (g) => [g.one('Softmax', ['image'], { axis: 1 })],
};

async function check(build: Build, graph: OnnxGraph): Promise<void> {
  const bytes = graph.bytes(build(graph));
  for (const result of await compareConverted(bytes, noise(3 * graph.height * graph.width, 99))) {
    expect(result.dims).toEqual(result.onnxDims);
    expect(result.difference, result.name).toBeLessThan(1e-4);
  }
}

describe.each([
  ['convolution', convolutions],
  ['pooling', pooling],
  ['resize', resizing],
  ['shape', shapes],
  ['arithmetic', arithmetic],
])('%s', (_, cases) => {
  it.each(Object.entries(cases))('%s', async (_name, build) => {
    await check(build, new OnnxGraph(16, 12, 14));
    await check(build, new OnnxGraph(13, 20, 14));
  });
});

describe('older operator sets', () => {
  it('Upsample, Clip, Squeeze, Split and Softmax in their forms of opset 9', async () => {
    const g = new OnnxGraph(8, 8, 9);
    const y = g.one('Clip', [g.conv('image', 3, 4, 3, PADS)], { min: { f: 0 }, max: { f: 6 } });
    const [a, b] = g.node('Split', [y], { axis: 1, split: [1, 3] }, 2);
    const up = g.one('Upsample', [b, g.floats([4], [1, 1, 2, 2])], { mode: 'nearest' });
    const outputs = [g.one('Squeeze', [a], { axes: [1] }), up, g.one('Softmax', [y], { axis: 1 })];
    for (const { difference } of await compareConverted(g.bytes(outputs), noise(192, 5)))
      expect(difference).toBeLessThan(1e-4);
  });
});
