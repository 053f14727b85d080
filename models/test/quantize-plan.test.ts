import { describe, expect, it } from 'vitest';
import { indexGraph } from '../src/quantize/graph-index.js';
import { decodeModel } from '../src/quantize/onnx-proto.js';
import { planQuantization } from '../src/quantize/plan.js';
import { prepareForQuantization } from '../src/quantize/prepare.js';
import { floatValues } from '../src/quantize/tensor-data.js';
import {
  floats,
  graphModel,
  integers,
  op,
  pictures,
  quantizeBytes,
  runModel,
  type SmallGraph,
  sqnr,
  weights,
} from './quantize-graph-fixture.js';
import { between, compare, conv, stem } from './quantize-network-fixture.js';

const left = conv('in', 'left', 8, 8);
const right = conv('in', 'right', 8, 8, 1);

describe('layers that are no convolutions', () => {
  it.each([0, 1])('a classifier Gemm (transB %i) reads bytes and gives float', async (transB) => {
    const { ratio, executed, report } = await compare({
      nodes: [
        ...stem.nodes,
        op('Relu', ['in'], 'r'),
        op('GlobalAveragePool', ['r'], 'p'),
        op('Flatten', ['p'], 'f'),
        op('Gemm', ['f', 'g', 'gb'], 'h', { transB }),
        op('Relu', ['h'], 'hr'),
        op('Gemm', ['hr', 'k'], 'y'),
      ],
      constants: [
        ...stem.constants,
        weights('g', transB ? [16, 8] : [8, 16]),
        weights('gb', [16]),
        weights('k', [16, 5]),
      ],
      outputs: ['y'],
    });
    expect(report.convolutions).toBe(3);
    expect(ratio).toBeGreaterThan(25);
    expect(executed.QGemm).toBe(2);
    expect(executed).not.toHaveProperty('Gemm');
  });

  it('MatMul with constant weights computes in INT8', async () => {
    const { ratio, executed } = await compare({
      nodes: [
        ...stem.nodes,
        op('Reshape', ['in', 'rows'], 'r'),
        op('Transpose', ['r'], 't', { perm: [0, 2, 1] }),
        op('MatMul', ['t', 'k'], 'm'),
        op('MatMul', ['m', 'l'], 'y'),
      ],
      constants: [...stem.constants, integers('rows', [1, 8, 256]), weights('k', [8, 12]), weights('l', [12, 4])],
      outputs: ['y'],
    });
    expect(ratio).toBeGreaterThan(25);
    expect(executed.MatMul).toBeUndefined();
    expect((executed.QLinearMatMul ?? 0) + (executed.MatMulIntegerToFloat ?? 0)).toBe(2);
  });

  it('ConvTranspose stays float, for ONNX Runtime has no integer one, and the rest is not disturbed', async () => {
    const { ratio, executed } = await compare(
      between(
        [op('ConvTranspose', ['in', 'up.w'], 'out', { kernel_shape: [2, 2], strides: [2, 2] })],
        [weights('up.w', [8, 8, 2, 2], 0.4)],
      ),
    );
    expect(ratio).toBeGreaterThan(28);
    expect(executed).toMatchObject({ QLinearConv: 2, ConvTranspose: 1 });
  });
});

describe('the tail of a head', () => {
  const head = conv('in', 'logits', 8, 4, 1);
  const distribution = conv('in', 'dist', 8, 32, 3);

  it('stays float: read-outs, softmax, expectation, and boxes put together with scores', async () => {
    const graph: SmallGraph = {
      nodes: [
        ...stem.nodes,
        ...head.nodes,
        ...distribution.nodes,
        op('Reshape', ['dist', 'bins'], 'r'),
        op('Transpose', ['r'], 't', { perm: [0, 2, 1, 3] }),
        op('Softmax', ['t'], 'soft', { axis: 1 }),
        op('Conv', ['soft', 'ramp'], 'mean', { kernel_shape: [1, 1] }),
        op('Reshape', ['mean', 'rows'], 'boxes'),
        op('Mul', ['boxes', 'stride'], 'pixels'),
        op('Reshape', ['logits', 'rows'], 'flat'),
        op('Sigmoid', ['flat'], 'scores'),
        op('Concat', ['pixels', 'scores'], 'y', { axis: 1 }),
      ],
      constants: [
        ...stem.constants,
        ...head.constants,
        ...distribution.constants,
        integers('bins', [1, 4, 8, 256]),
        floats('ramp', [0, 1, 2, 3, 4, 5, 6, 7], [1, 8, 1, 1]),
        integers('rows', [1, 4, 256]),
        floats('stride', [32], []),
      ],
      outputs: ['y'],
    };
    const { ratio, executed, report } = await compare(graph);
    expect(report.floatConvolutions).toContain('n_logits');
    expect(executed).toMatchObject({ QLinearConv: 2, Softmax: 1, Sigmoid: 1 });
    expect(executed).not.toHaveProperty('QLinearConcat');
    expect(executed).not.toHaveProperty('QLinearSoftmax');
    expect(ratio).toBeGreaterThan(30);
  });

  it('a last 1×1 convolution that holds much of all weights is a layer like any other', () => {
    const big = conv('in', 'y', 8, 200, 1);
    const model = decodeModel(
      graphModel({
        nodes: [...stem.nodes, ...big.nodes],
        constants: [...stem.constants, ...big.constants],
        outputs: ['y'],
      }),
    );
    expect(planQuantization(indexGraph(model.graph)).floatConvolutions).toEqual([]);
  });
});

describe('the plan', () => {
  const graph = between(
    [...left.nodes, ...right.nodes, op('Concat', ['left', 'right'], 'out', { axis: 1 })],
    [...left.constants, ...right.constants],
    16,
  );
  const index = () => indexGraph(prepareForQuantization(decodeModel(graphModel(graph))).model.graph);

  it('leaves excluded nodes in float, and what only they would have read', () => {
    const all = planQuantization(index());
    const part = planQuantization(index(), { exclude: new Set(['n_left', 'n_out']) });
    expect(part.floatConvolutions).toEqual(['n_left']);
    expect(part.convolutions.size).toBe(all.convolutions.size - 1);
    expect(all.tensors.has('left')).toBe(true);
    expect(part.tensors.has('left')).toBe(false);
    for (const name of part.tensors) expect(all.tensors.has(name), name).toBe(true);
  });

  it('shares a scale in Concat unless the measured ranges are far apart', () => {
    const leaders = (right: number) => {
      const ranges = new Map([
        ['left', { min: -8, max: 8 }],
        ['right', { min: -right, max: right }],
      ]);
      const { leader, tensors } = planQuantization(index(), { ranges });
      return { groups: new Set(['left', 'right', 'out'].map((n) => leader.get(n))).size, tensors: [...tensors] };
    };
    expect(leaders(7).groups).toBe(1);
    expect(leaders(1).groups).toBe(3);
    expect(leaders(1).tensors).toEqual(leaders(7).tensors);
  });

  it('keeps the outer tensors that a subgraph reads', async () => {
    const model = decodeModel(graphModel(graph));
    const inner = {
      node: [op('Relu', ['left'], 'inner')],
      initializer: [],
      input: [],
      output: [{ name: 'inner' }],
      valueInfo: [],
    };
    model.graph.node.push({
      opType: 'If',
      input: ['condition'],
      output: ['z'],
      attribute: [{ name: 'then_branch', type: 5, g: inner }],
    });
    expect(indexGraph(model.graph).outputs.has('left')).toBe(true);
  });
});

it.each([13, 17, 21, 23])('a model of opset %i is quantized and fused', async (opset) => {
  const graph = between([...left.nodes, op('Relu', ['left'], 'out')], left.constants, 8, opset);
  const { ratio, executed } = await compare(graph);
  expect(ratio).toBeGreaterThan(28);
  expect(executed.QLinearConv).toBe(3);
});

describe('targets', () => {
  const graph = between([...left.nodes, op('Relu', ['left'], 'out')], left.constants);

  it('arm64 has s8 tensors with the levels of the u8 ones less 128, and computes the same', async () => {
    const fp32 = graphModel(graph);
    const [wide, arm] = [await quantizeBytes(fp32, 'x64'), await quantizeBytes(fp32, 'arm64')];
    const parameter = (bytes: Uint8Array, name: string) =>
      decodeModel(bytes).graph.initializer.find((t) => t.name === name)!;
    const [u8, s8] = [wide, arm].map(({ bytes }) => parameter(bytes, 'in_zero_point'));
    expect([u8.dataType, s8.dataType]).toEqual([2, 3]);
    expect(new Int8Array(Uint8Array.from(s8.rawData!).buffer)[0]).toBe(u8.rawData![0] - 128);
    expect(floatValues(parameter(arm.bytes, 'in_scale'))).toEqual(floatValues(parameter(wide.bytes, 'in_scale')));
    const [picture] = pictures(1);
    const wanted = await runModel(fp32, Float32Array.from(picture));
    // without fusion: this machine's own kernels may saturate on 8-bit weights
    const got = await runModel(arm.bytes, picture, undefined, 'disabled');
    expect(sqnr(wanted.y.data, got.y.data)).toBeGreaterThan(30);
  });
});
