import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { decodeModel, encodeModel, type NodeProto, type TensorProto } from '../src/quantize/onnx-proto.js';
import { prepareForQuantization } from '../src/quantize/prepare.js';
import { floats, graphModel, integers, op, runModel, type SmallGraph, weights } from './quantize-graph-fixture.js';
import { noise } from './quantize-model-fixture.js';

const DATA = noise(3 * 256, 8);

const bn = (input: string, output: string, channels: number): [NodeProto, TensorProto[]] => [
  op('BatchNormalization', [input, 'g', 'b', 'm', 'v'], output, { epsilon: 1e-3 }),
  [
    weights('g', [channels], 2),
    weights('b', [channels], 3, 5),
    weights('m', [channels], 1, 7),
    floats(
      'v',
      [...noise(channels, 4)].map((v) => Math.abs(v) + 1e-3),
    ),
  ],
];

/** The prepared model's operators, after making sure that it computes what the given one does. */
async function prepared(graph: SmallGraph): Promise<{ operators: string[]; notes: string[] }> {
  const before = graphModel(graph);
  const { model, notes } = prepareForQuantization(decodeModel(before));
  const wanted = await runModel(before, DATA);
  const got = await runModel(encodeModel(model), DATA);
  for (const [name, { dims, data }] of Object.entries(wanted)) {
    expect(got[name].dims).toEqual(dims);
    const largest = Math.max(...data.map(Math.abs));
    const worst = data.reduce((most, value, i) => Math.max(most, Math.abs(got[name].data[i] - value)), 0);
    expect(worst).toBeLessThanOrEqual(3e-6 * largest);
  }
  return { operators: model.graph.node.map((n) => n.opType), notes };
}

describe('batch normalization', () => {
  it('disappears in a grouped Conv with a bias', async () => {
    const [node, constants] = bn('c', 'y', 6);
    const { operators, notes } = await prepared({
      nodes: [op('Conv', ['x', 'w', 'wb'], 'c', { group: 3, kernel_shape: [3, 3], pads: [1, 1, 1, 1] }), node],
      constants: [...constants, weights('w', [6, 1, 3, 3]), weights('wb', [6])],
      outputs: ['y'],
    });
    expect(operators).toEqual(['Conv']);
    expect(notes).toEqual(['1 batch normalizations and constant factors folded into convolutions']);
  });

  it.each([1, 3])('disappears in a ConvTranspose of %i groups', async (group) => {
    const [node, constants] = bn('c', 'y', 2 * group);
    const { operators } = await prepared({
      nodes: [op('ConvTranspose', ['x', 'w'], 'c', { group, kernel_shape: [2, 2], strides: [2, 2] }), node],
      constants: [...constants, weights('w', [3, 2, 2, 2])],
      outputs: ['y'],
    });
    expect(operators).toEqual(['ConvTranspose']);
  });

  it.each([0, 1])('disappears in a Gemm with transB = %i', async (transB) => {
    const [node, constants] = bn('c', 'y', 4);
    const { operators } = await prepared({
      nodes: [
        op('GlobalAveragePool', ['x'], 'p'),
        op('Flatten', ['p'], 'f'),
        op('Gemm', ['f', 'w'], 'c', { transB }),
        node,
      ],
      constants: [...constants, weights('w', transB ? [4, 3] : [3, 4])],
      outputs: ['y'],
    });
    expect(operators).toEqual(['GlobalAveragePool', 'Flatten', 'Gemm']);
  });

  it('stays where somebody else reads the convolution, and where none stands before it', async () => {
    const [node, constants] = bn('c', 'y', 4);
    const conv = op('Conv', ['x', 'w'], 'c', { kernel_shape: [1, 1] });
    const w = weights('w', [4, 3, 1, 1]);
    const shared = await prepared({
      nodes: [conv, node, op('Relu', ['c'], 'z')],
      constants: [...constants, w],
      outputs: ['y', 'z'],
    });
    expect(shared.operators).toEqual(['Conv', 'BatchNormalization', 'Relu']);
    const read = await prepared({ nodes: [conv, node], constants: [...constants, w], outputs: ['y', 'c'] });
    expect(read.operators).toContain('BatchNormalization');
    const [alone, own] = bn('x', 'y', 3);
    expect((await prepared({ nodes: [alone], constants: own, outputs: ['y'] })).operators).toEqual([
      'BatchNormalization',
    ]);
  });

  it('of two convolutions that share their weights folds into a copy for each', async () => {
    const [first, constants] = bn('a', 'y', 3);
    const second = op('BatchNormalization', ['c', 'b', 'g', 'b', 'v'], 'z');
    const nodes = [
      op('Conv', ['x', 'w'], 'a', { kernel_shape: [1, 1] }),
      op('Conv', ['y', 'w'], 'c', { kernel_shape: [1, 1] }),
    ];
    const { operators } = await prepared({
      nodes: [nodes[0], first, nodes[1], second],
      constants: [...constants, weights('w', [3, 3, 1, 1])],
      outputs: ['y', 'z'],
    });
    expect(operators).toEqual(['Conv', 'Conv']);
  });
});

describe('constant factors', () => {
  it('behind a convolution are folded in a chain: Mul, Add, Sub, Div, per channel or one number', async () => {
    const { operators } = await prepared({
      nodes: [
        op('Conv', ['x', 'w'], 'c', { kernel_shape: [3, 3] }),
        op('Mul', ['c', 'per'], 'm'),
        op('Add', ['one', 'm'], 'a'),
        op('Sub', ['a', 'per'], 's'),
        op('Div', ['s', 'one'], 'y'),
      ],
      constants: [weights('w', [4, 3, 3, 3]), weights('per', [1, 4, 1, 1]), floats('one', [2.5], [])],
      outputs: ['y'],
    });
    expect(operators).toEqual(['Conv']);
  });

  it('that vary over the picture, raise the rank or stand on the left of Sub stay', async () => {
    const conv = op('Conv', ['x', 'w'], 'c', { kernel_shape: [1, 1] });
    const w = weights('w', [4, 3, 1, 1]);
    for (const [node, constant] of [
      [op('Mul', ['c', 'k'], 'y'), weights('k', [16])],
      [op('Add', ['c', 'k'], 'y'), weights('k', [2, 1, 4, 1, 1])],
      [op('Sub', ['k', 'c'], 'y'), weights('k', [1])],
      [op('Mul', ['c', 'c'], 'y'), weights('k', [1])],
    ] as const) {
      const { operators } = await prepared({ nodes: [conv, node], constants: [w, constant], outputs: ['y'] });
      expect(operators).toHaveLength(2);
    }
  });
});

describe('shape arithmetic', () => {
  /** What torch writes for `x.reshape(x.shape[0], -1, x.shape[2] * x.shape[3])`. */
  const flattening = (batch: number | string): SmallGraph => ({
    opset: 11,
    input: [batch, 3, 16, 16],
    nodes: [
      op('Shape', ['x'], 's'),
      op('Gather', ['s', 'zero'], 'b', { axis: 0 }),
      op('Gather', ['s', 'two'], 'h', { axis: 0 }),
      op('Gather', ['s', 'three'], 'w', { axis: 0 }),
      op('Mul', ['h', 'w'], 'area'),
      op('Unsqueeze', ['b'], 'b1', { axes: [0] }),
      op('Unsqueeze', ['area'], 'area1', { axes: [0] }),
      op('Concat', ['b1', 'rest', 'area1'], 'shape', { axis: 0 }),
      op('Identity', ['x'], 'same'),
      op('Reshape', ['same', 'shape'], 'y'),
    ],
    constants: [
      integers('zero', [0], []),
      integers('two', [2], []),
      integers('three', [3], []),
      integers('rest', [-1]),
    ],
    outputs: ['y'],
  });

  it('of a fixed and of a symbolic batch folds to one constant', async () => {
    for (const batch of [1, 'N']) expect((await prepared(flattening(batch))).operators).toEqual(['Reshape']);
  });

  it('of an unknown height stays', async () => {
    const { operators } = await prepared({ ...flattening(1), input: [1, 3, 'H', 16] });
    expect(operators).toContain('Mul');
  });

  it('of sizes behind convolutions and pooling, as an FPN resizes to its neighbour, folds', async () => {
    const nodes = [
      op('Conv', ['x', 'w'], 'c', { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] }),
      op('MaxPool', ['c'], 'p', { kernel_shape: [2, 2], strides: [2, 2] }),
      op('Shape', ['c'], 's'),
      op('Slice', ['s', 'two', 'four', 'axis'], 'hw'),
      op('Shape', ['p'], 'ps'),
      op('Slice', ['ps', 'axis', 'two', 'axis'], 'nc'),
      op('Concat', ['nc', 'hw'], 'size', { axis: 0 }),
      op('Resize', ['p', '', '', 'size'], 'y', { mode: 'linear' }),
    ];
    const constants = [weights('w', [4, 3, 3, 3]), integers('two', [2]), integers('four', [4]), integers('axis', [0])];
    expect((await prepared({ nodes, constants, outputs: ['y'] })).operators).toEqual(['Conv', 'MaxPool', 'Resize']);
  });
});

describe('operators without integer kernels', () => {
  it('HardSwish, as one node or two, and the mean over a picture become ones that have', async () => {
    const one = await prepared({ opset: 14, nodes: [op('HardSwish', ['x'], 'y')], outputs: ['y'] });
    expect(one.operators).toEqual(['Add', 'Clip', 'Mul', 'Mul']);
    const gate = op('HardSigmoid', ['x'], 'h', { alpha: 1 / 6, beta: 0.5 });
    const two = await prepared({ nodes: [gate, op('Mul', ['x', 'h'], 'y')], outputs: ['y'] });
    expect(two.operators).toEqual(['Add', 'Clip', 'Mul', 'Mul']);
    const mean = await prepared({
      nodes: [op('ReduceMean', ['x'], 'y', { axes: [-2, -1], keepdims: 0 })],
      outputs: ['y'],
    });
    expect(mean.operators).toEqual(['GlobalAveragePool', 'Flatten']);
    const other = await prepared({ nodes: [op('ReduceMean', ['x'], 'y', { axes: [1], keepdims: 1 })], outputs: ['y'] });
    expect(other.operators).toEqual(['ReduceMean']);
  });
});

it('a model that is in shape already keeps its bytes', async () => {
  const bytes = await readFile(new URL('../zoo/person-detector-fp32/model.onnx', import.meta.url));
  const { model, notes } = prepareForQuantization(decodeModel(bytes));
  expect(notes).toEqual([]);
  expect(Buffer.compare(encodeModel(model), bytes)).toBe(0);
});
