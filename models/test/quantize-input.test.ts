import { describe, expect, it } from 'vitest';
import { foldPixelScaling } from '../src/quantize/fold-pixel-scaling.js';
import { indexGraph } from '../src/quantize/graph-index.js';
import { decodeModel, encodeModel } from '../src/quantize/onnx-proto.js';
import { resolveParameters } from '../src/quantize/parameters.js';
import { planQuantization } from '../src/quantize/plan.js';
import { rewriteToQdq } from '../src/quantize/rewrite.js';
import {
  executedOperators,
  graphModel,
  op,
  pictures,
  runModel,
  type SmallGraph,
  sqnr,
  weights,
} from './quantize-graph-fixture.js';

const SCALING = { mean: [103.53, 116.28, 123.675], std: [57.375, 57.12, 58.395] };
const AREA = 256;

/** Bytes as the unchanged model wants them. */
function scaled(bytes: Uint8Array, swap = false): Float32Array {
  return Float32Array.from(bytes, (_, i) => {
    const c = Math.floor(i / AREA);
    const byte = bytes[swap ? (2 - c) * AREA + (i % AREA) : i];
    return (byte - SCALING.mean[c]) / SCALING.std[c];
  });
}

const convFirst: SmallGraph = {
  nodes: [
    op('Conv', ['x', 'w', 'b'], 'c', { kernel_shape: [3, 3], pads: [1, 2, 1, 0], strides: [2, 1] }),
    op('Relu', ['c'], 'r'),
    op('Conv', ['r', 'w2'], 'y', { kernel_shape: [3, 3] }),
  ],
  constants: [weights('w', [8, 3, 3, 3], 0.3), weights('b', [8]), weights('w2', [4, 8, 3, 3], 0.2)],
  outputs: ['y'],
};
const sliceFirst: SmallGraph = {
  ...convFirst,
  nodes: [
    op('MaxPool', ['x'], 'p', { kernel_shape: [2, 2] }),
    op('Conv', ['p', 'w', 'b'], 'y', { kernel_shape: [3, 3] }),
  ],
};

describe('pixel scaling moved into a float model', () => {
  it.each([
    ['one convolution reads the input', convFirst, false, 'folded into the first convolution', 'Pad'],
    ['with red and blue swapped', convFirst, true, 'folded into the first convolution', 'Pad'],
    ['something else reads it', sliceFirst, true, 'computed in float', 'Sub'],
  ] as const)('computes the same, border included, when %s', async (_, graph, swapRedBlue, words, operator) => {
    const before = graphModel(graph);
    const model = decodeModel(before);
    expect(foldPixelScaling(model.graph, 'x', { ...SCALING, swapRedBlue })).toContain(words);
    expect(model.graph.node.map((n) => n.opType)).toContain(operator);
    const [bytes] = pictures(1);
    const wanted = await runModel(before, scaled(bytes, swapRedBlue));
    const got = await runModel(encodeModel(model), Float32Array.from(bytes));
    expect(got.y.dims).toEqual(wanted.y.dims);
    for (let i = 0; i < wanted.y.data.length; i++)
      expect(Math.abs(got.y.data[i] - wanted.y.data[i])).toBeLessThan(2e-4);
  });

  it('leaves no Pad where there is nothing to pad or the mean is 0', () => {
    for (const [pads, mean] of [
      [[0, 0, 0, 0], SCALING.mean],
      [
        [1, 1, 1, 1],
        [0, 0, 0],
      ],
    ]) {
      const conv = op('Conv', ['x', 'w'], 'y', { kernel_shape: [3, 3], pads });
      const model = decodeModel(graphModel({ nodes: [conv], constants: [weights('w', [8, 3, 3, 3])], outputs: ['y'] }));
      foldPixelScaling(model.graph, 'x', { mean, std: SCALING.std });
      expect(model.graph.node.map((n) => n.opType)).toEqual(['Conv']);
    }
  });
});

describe('a uint8 input with unlike channels', () => {
  it.each([
    ['NCHW', 'uint8'],
    ['NHWC', 'uint8'],
    ['NHWC', 'int8'],
  ] as const)(
    '%s with %s activations takes bytes, pads with the mean and stays in integers',
    async (inputLayout, activationType) => {
      const fp32 = graphModel(convFirst);
      const model = decodeModel(fp32);
      foldPixelScaling(model.graph, 'x', SCALING);
      const index = indexGraph(model.graph);
      const plan = planQuantization(index);
      const floatBytes = encodeModel(model);
      const named = decodeModel(floatBytes);
      named.graph.output = [...plan.tensors].map((name) => ({ name, type: { tensorType: { elemType: 1 } } }));
      const ranges = new Map<string, { min: number; max: number }>();
      for (const picture of pictures(4)) {
        const seen = await runModel(encodeModel(named), Float32Array.from(picture));
        for (const [name, { data }] of Object.entries(seen)) {
          const leader = plan.leader.get(name)!;
          const before = ranges.get(leader) ?? { min: 0, max: 0 };
          ranges.set(leader, { min: Math.min(before.min, ...data), max: Math.max(before.max, ...data) });
        }
      }
      const parameters = resolveParameters(plan, ranges, new Map([['x', { scale: 1, zeroPoint: 0 }]]));
      rewriteToQdq(index, plan, parameters, { weightLimit: 64, uint8Input: 'x', inputLayout, activationType });
      const int8 = encodeModel(model);
      const [bytes] = pictures(1);
      const wanted = await runModel(fp32, scaled(bytes));
      const nhwc = Uint8Array.from(bytes, (_, i) => bytes[(i % 3) * AREA + Math.floor(i / 3)]);
      const got = inputLayout === 'NHWC' ? await runModel(int8, nhwc, [1, 16, 16, 3]) : await runModel(int8, bytes);
      expect(sqnr(wanted.y.data, got.y.data)).toBeGreaterThan(28);
      const executed = await executedOperators(int8);
      expect(executed).toMatchObject({ QLinearConv: 2, Pad: 3 });
      // s8 is for ARM: on x86 ONNX Runtime converts here and there
      if (activationType === 'uint8') expect(executed.QuantizeLinear).toBeUndefined();
    },
  );
});
