import { describe, expect, it } from 'vitest';
import {
  decodeModel,
  encodeModel,
  int64ToNumber,
  type NodeProto,
  type TensorProto,
} from '../src/quantize/onnx-proto.js';
import { upgradeOpset } from '../src/quantize/opset-upgrade.js';
import { prepareForQuantization } from '../src/quantize/prepare.js';
import { floats, graphModel, integers, op, runModel, weights } from './quantize-graph-fixture.js';
import { noise } from './quantize-model-fixture.js';

const DATA = noise(3 * 256, 5).map((v) => 4 * v);

interface Case {
  name: string;
  opset: number;
  nodes: NodeProto[];
  constants?: TensorProto[];
  outputs?: string[];
}

const UNSQUEEZED = op('Unsqueeze', ['x'], 'y', { axes: [0, 5] });
const cases: Case[] = [
  {
    name: 'Split with sizes',
    opset: 11,
    nodes: [op('Split', ['x'], ['y', 'z'], { axis: 1, split: [1, 2] })],
    outputs: ['y', 'z'],
  },
  {
    name: 'Split in equal parts',
    opset: 12,
    nodes: [op('Split', ['x'], ['y', 'z'], { axis: 3 })],
    outputs: ['y', 'z'],
  },
  {
    name: 'Unsqueeze and Squeeze',
    opset: 11,
    nodes: [UNSQUEEZED, op('Squeeze', ['y'], 'z', { axes: [0] })],
    outputs: ['y', 'z'],
  },
  { name: 'Squeeze of every 1', opset: 9, nodes: [op('Squeeze', ['x'], 'y')] },
  { name: 'ReduceSum with axes', opset: 11, nodes: [op('ReduceSum', ['x'], 'y', { axes: [2, 3], keepdims: 0 })] },
  { name: 'ReduceSum of all', opset: 11, nodes: [op('ReduceSum', ['x'], 'y', { keepdims: 1 })] },
  { name: 'Clip attributes', opset: 9, nodes: [op('Clip', ['x'], 'y', { min: { f: 0 }, max: { f: 6 } })] },
  { name: 'Clip with one bound', opset: 10, nodes: [op('Clip', ['x'], 'y', { max: { f: 1 } })] },
  { name: 'Dropout', opset: 11, nodes: [op('Dropout', ['x'], 'd', { ratio: 0.5 }), op('Relu', ['d'], 'y')] },
  {
    name: 'Pad with a value',
    opset: 10,
    nodes: [op('Pad', ['x'], 'y', { pads: [0, 0, 1, 2, 0, 0, 3, 0], value: 1.5 })],
  },
  {
    name: 'Pad by reflection',
    opset: 10,
    nodes: [op('Pad', ['x'], 'y', { pads: [0, 0, 1, 2, 0, 0, 3, 0], mode: 'reflect' })],
  },
  {
    name: 'Slice attributes',
    opset: 9,
    nodes: [op('Slice', ['x'], 'y', { starts: [1, -9], ends: [3, 100], axes: [1, 2] })],
  },
  { name: 'Slice without axes', opset: 9, nodes: [op('Slice', ['x'], 'y', { starts: [0, 1], ends: [1, 2] })] },
  { name: 'TopK attribute', opset: 9, nodes: [op('TopK', ['x'], ['y', 'i'], { k: 3, axis: 3 })] },
  { name: 'Softmax over everything behind the batch', opset: 11, nodes: [op('Softmax', ['x'], 'y')] },
  { name: 'Softmax over the last axis', opset: 11, nodes: [op('Softmax', ['x'], 'y', { axis: -1 })] },
  { name: 'Softmax from the middle', opset: 9, nodes: [op('Softmax', ['x'], 'y', { axis: 2 })] },
  {
    name: 'LogSoftmax of channels after pooling',
    opset: 11,
    nodes: [op('GlobalAveragePool', ['x'], 'p'), op('LogSoftmax', ['p'], 'y')],
  },
  { name: 'Hardmax', opset: 11, nodes: [op('Hardmax', ['x'], 'y', { axis: 1 })] },
  {
    name: 'Softmax of a tensor of unknown rank',
    opset: 11,
    nodes: [op('NonZero', ['x'], 'nz'), op('Cast', ['nz'], 'c', { to: 1 }), op('Softmax', ['c'], 'y')],
  },
  {
    name: 'Upsample nearest with scales as input',
    opset: 9,
    nodes: [op('Upsample', ['x', 's'], 'y', { mode: 'nearest' })],
    constants: [floats('s', [1, 1, 2, 3])],
  },
  {
    name: 'Upsample linear with scales as attribute',
    opset: 7,
    nodes: [op('Upsample', ['x'], 'y', { mode: 'linear', scales: { floats: [1, 1, 2, 2] } })],
  },
  {
    name: 'Resize 10 growing',
    opset: 10,
    nodes: [op('Resize', ['x', 's'], 'y', { mode: 'nearest' })],
    constants: [floats('s', [1, 1, 1.5, 2])],
  },
  {
    name: 'Resize 10 shrinking',
    opset: 10,
    nodes: [op('Resize', ['x', 's'], 'y', { mode: 'nearest' })],
    constants: [floats('s', [1, 1, 0.4, 0.6])],
  },
  {
    name: 'Resize 10 linear',
    opset: 10,
    nodes: [op('Resize', ['x', 's'], 'y', { mode: 'linear' })],
    constants: [floats('s', [1, 1, 2, 1.5])],
  },
  {
    name: 'BatchNormalization 7 and a convolution of the same names',
    opset: 8,
    nodes: [
      op('Conv', ['x', 'w'], 'c', { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }),
      op('BatchNormalization', ['c', 'g', 'b', 'm', 'v'], 'y', { epsilon: 0.001 }),
    ],
    constants: [
      weights('w', [4, 3, 3, 3]),
      floats('g', [1, 2, -0.5, 3]),
      floats('b', [0, 1, 2, 3]),
      floats('m', [1, -1, 0.5, 0]),
      floats('v', [1, 0.5, 4, 1e-4]),
    ],
  },
];

describe('a model of an older opset', () => {
  it.each(cases)(
    '$name (opset $opset) computes the same after the upgrade',
    async ({ opset, nodes, constants, outputs }) => {
      const before = graphModel({ opset, irVersion: opset < 9 ? 3 : 6, nodes, constants, outputs: outputs ?? ['y'] });
      const wanted = await runModel(before, DATA);
      for (const change of [upgradeOpset, prepareForQuantization]) {
        const model = decodeModel(before);
        change(model);
        expect(int64ToNumber(model.opsetImport[0].version)).toBe(13);
        const got = await runModel(encodeModel(model), DATA);
        expect(Object.keys(got)).toEqual(Object.keys(wanted));
        for (const [name, { dims, data }] of Object.entries(wanted)) {
          expect(got[name].dims).toEqual(dims);
          const largest = Math.max(...data.map(Math.abs));
          const worst = data.reduce((most, value, i) => Math.max(most, Math.abs(got[name].data[i] - value)), 0);
          expect(worst).toBeLessThanOrEqual(2e-6 * largest);
        }
      }
    },
  );

  it('of opset 13 or newer keeps its bytes', () => {
    const bytes = graphModel({ opset: 17, nodes: [op('Relu', ['x'], 'y')], outputs: ['y'] });
    const model = decodeModel(bytes);
    expect(upgradeOpset(model)).toBe(17);
    expect(Buffer.compare(encodeModel(model), bytes)).toBe(0);
  });

  const refused: [string, number, NodeProto[], string][] = [
    ['an operator nobody knows', 11, [op('Frobnicate', ['x'], 'y')], 'Frobnicate "n_y" of opset 11'],
    [
      'a Dropout whose mask is read',
      9,
      [op('Dropout', ['x'], ['y', 'mask']), op('Not', ['mask'], 'z')],
      'its mask is read',
    ],
    ['an opset too old', 6, [op('Relu', ['x'], 'y')], 'opset 6; 7 to'],
    ['an opset too new', 99, [op('Relu', ['x'], 'y')], 'opset 99'],
    ['a Slice without ends', 9, [op('Slice', ['x'], 'y', { starts: [0] })], 'no ends'],
    [
      'a Resize that grows one side and shrinks the other',
      10,
      [op('Resize', ['x', 's'], 'y')],
      'grows one side and shrinks the other',
    ],
  ];
  it.each(refused)('with %s is refused by name', (_, opset, nodes, words) => {
    const constants = [floats('s', [1, 1, 2, 0.5]), integers('unused', [1])];
    const model = decodeModel(graphModel({ opset, nodes, constants, outputs: ['y'] }));
    let thrown: unknown;
    try {
      upgradeOpset(model);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({ name: 'QuantizeError', code: 'OPSET_UNSUPPORTED' });
    expect(String(thrown)).toContain(words);
  });
});
