import { describe, expect, it } from 'vitest';
import { floats, integers, op, type SmallGraph, weights } from './quantize-graph-fixture.js';
import { between, compare, conv } from './quantize-network-fixture.js';

const squeeze = conv('pooled', 'squeezed', 8, 4, 1);
const excite = conv('squeezed_relu', 'excited', 4, 8, 1);
const left = conv('in', 'left', 8, 8);
const right = conv('in', 'right', 8, 8, 1);
const deep = conv('in_relu', 'deep', 8, 8, 3, 8);

const blocks: [string, SmallGraph, string[]][] = [
  ['SiLU', between([op('Sigmoid', ['in'], 's'), op('Mul', ['in', 's'], 'out')], []), ['QLinearSigmoid', 'QLinearMul']],
  ['HardSwish', between([op('HardSwish', ['in'], 'out')], [], 8, 14), ['QLinearAdd', 'QLinearMul']],
  [
    'HardSwish as exporters of opset 11 write it',
    between(
      [
        op('Add', ['in', 'three'], 'a'),
        op('Clip', ['a', 'zero', 'six'], 'c'),
        op('Mul', ['in', 'c'], 'm'),
        op('Div', ['m', 'six'], 'out'),
      ],
      [floats('three', [3], []), floats('zero', [0], []), floats('six', [6], [])],
    ),
    ['QLinearAdd', 'QLinearMul'],
  ],
  ['LeakyRelu', between([op('LeakyRelu', ['in'], 'out', { alpha: 0.1 })], []), ['QLinearLeakyRelu']],
  ['Relu6', between([op('Clip', ['in', 'zero', 'six'], 'out')], [floats('zero', [0], []), floats('six', [1], [])]), []],
  [
    'squeeze and excite',
    between(
      [
        op('GlobalAveragePool', ['in'], 'pooled'),
        ...squeeze.nodes,
        op('Relu', ['squeezed'], 'squeezed_relu'),
        ...excite.nodes,
        op('Sigmoid', ['excited'], 'gate'),
        op('Mul', ['in', 'gate'], 'out'),
      ],
      [...squeeze.constants, ...excite.constants],
    ),
    ['QLinearGlobalAveragePool', 'QLinearSigmoid', 'QLinearMul'],
  ],
  [
    'AveragePool',
    between([op('AveragePool', ['in'], 'out', { kernel_shape: [2, 2], strides: [2, 2] })], []),
    ['QLinearAveragePool'],
  ],
  [
    'channel shuffle',
    between(
      [
        op('Reshape', ['in', 'five'], 'r'),
        op('Transpose', ['r'], 't', { perm: [0, 2, 1, 3, 4] }),
        op('Reshape', ['t', 'four'], 'out'),
      ],
      [integers('five', [1, 2, 4, 16, 16]), integers('four', [1, 8, 16, 16])],
    ),
    ['Reshape', 'Transpose'],
  ],
  [
    'Split, Slice, MaxPool and Concat',
    between(
      [
        op('Split', ['in', 'parts'], ['a', 'b'], { axis: 1 }),
        op('Slice', ['a', 'zero', 'two', 'one'], 'c'),
        op('MaxPool', ['b'], 'd', { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }),
        op('Concat', ['c', 'd'], 'out', { axis: 1 }),
      ],
      [integers('parts', [4, 4]), integers('zero', [0]), integers('two', [2]), integers('one', [1])],
      6,
    ),
    ['Split', 'Slice', 'QLinearConcat'],
  ],
  [
    'Concat of a cut off and a plain tensor',
    between(
      [
        ...left.nodes,
        op('Relu', ['left'], 'left_relu'),
        ...right.nodes,
        op('Concat', ['left_relu', 'right'], 'out', { axis: 1 }),
      ],
      [...left.constants, ...right.constants],
      16,
    ),
    ['QLinearConcat'],
  ],
  [
    'Pad with zeros and by reflection',
    between(
      [
        op('Pad', ['in', 'pads'], 'p'),
        op('Pad', ['p', 'pads', 'half'], 'q'),
        op('Pad', ['q', 'pads'], 'out', { mode: 'reflect' }),
      ],
      [integers('pads', [0, 0, 1, 0, 0, 0, 2, 1]), floats('half', [0.5], [])],
    ),
    ['Pad'],
  ],
  [
    'constants added and multiplied',
    between(
      [op('Relu', ['in'], 'r'), op('Add', ['r', 'k'], 'a'), op('Mul', ['l', 'a'], 'out')],
      [weights('k', [1, 8, 1, 1]), weights('l', [8, 1, 1], 2)],
    ),
    ['QLinearAdd', 'QLinearMul'],
  ],
  [
    'a factor behind a Relu',
    between([op('Relu', ['in'], 'r'), op('Mul', ['r', 'k'], 'out')], [floats('k', [0.125], [])]),
    [],
  ],
  [
    'depthwise and residual',
    between(
      [op('Relu', ['in'], 'in_relu'), ...deep.nodes, op('Add', ['in_relu', 'deep'], 's'), op('Relu', ['s'], 'out')],
      deep.constants,
    ),
    ['QLinearAdd'],
  ],
];

describe('between two convolutions', () => {
  it.each(blocks)('%s computes in INT8, as ONNX Runtime fuses it', async (_, graph, operators) => {
    const { ratio, executed, report } = await compare(graph);
    expect(ratio).toBeGreaterThan(28);
    expect(executed.QLinearConv).toBe(report.convolutions);
    for (const operator of operators) expect(executed[operator], operator).toBeGreaterThan(0);
    expect(executed).not.toHaveProperty('Conv');
    // only the picture comes in and the result goes out
    expect(executed.DequantizeLinear ?? 0).toBeLessThanOrEqual(1);
    expect(executed.QuantizeLinear ?? 0).toBe(0);
  });

  it('a bilinear Resize computes in float, as ONNX Runtime wants it, between 8-bit neighbours', async () => {
    const resize = op('Resize', ['in', '', 'scales'], 'out', { mode: 'linear' });
    const { ratio, executed } = await compare(between([resize], [floats('scales', [1, 1, 2, 2])]));
    expect(ratio).toBeGreaterThan(28);
    expect(executed).toMatchObject({ QLinearConv: 2, Resize: 1, QuantizeLinear: 1 });
  });

  it('the space-to-depth of a Focus stem moves the picture bytes', async () => {
    const grid = ['a', 'b', 'c', 'd'].map((name, i) => op('Slice', ['x', `from${i}`, 'to', 'axes', 'steps'], name));
    const first = conv('cat', 'y', 12, 8);
    const { ratio, executed } = await compare({
      nodes: [...grid, op('Concat', ['a', 'b', 'c', 'd'], 'cat', { axis: 1 }), ...first.nodes],
      constants: [
        ...first.constants,
        ...[0, 1, 2, 3].map((i) => integers(`from${i}`, [i & 1, i >> 1])),
        integers('to', [99, 99]),
        integers('axes', [2, 3]),
        integers('steps', [2, 2]),
      ],
      outputs: ['y'],
    });
    expect(ratio).toBeGreaterThan(32);
    expect(executed).toMatchObject({ QLinearConv: 1, DequantizeLinear: 1 });
    expect(executed).not.toHaveProperty('QuantizeLinear');
  });
});
