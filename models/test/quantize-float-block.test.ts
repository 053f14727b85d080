import { beforeAll, describe, expect, it } from 'vitest';
import { calibrateModel } from '../src/quantize/calibrate-model.js';
import { findFloatBlock } from '../src/quantize/float-block.js';
import { layerCosts } from '../src/quantize/layer-cost.js';
import { decodeModel, type NodeProto, type TensorProto } from '../src/quantize/onnx-proto.js';
import { type CalibratedModel, chooseRanges } from '../src/quantize/quantize-build.js';
import { floatTensor } from '../src/quantize/tensor-data.js';
import { node, noise, smallModel } from './quantize-model-fixture.js';

const SIZE = 16;
const CHANNELS = 6;
const LAYERS = 10;
const SAME = { kernel_shape: [3, 3], pads: [1, 1, 1, 1], strides: [1, 1] };
const SCALING = { mean: [0, 0, 0], std: [1, 1, 1] };

/**
 * Ten convolutions in a row. The results of those in `loud` have one channel 2000 times larger than the others, which the next
 * one hardly reads: 8 bits for all channels together leave nothing of the others.
 */
function chain(loud: readonly number[]): Uint8Array {
  const nodes: NodeProto[] = [];
  const weights: TensorProto[] = [];
  let input = 'image';
  for (let layer = 0; layer < LAYERS; layer++) {
    const from = layer === 0 ? 3 : CHANNELS;
    const values = noise(CHANNELS * from * 9, layer + 1).map((v) => (1.5 * v) / Math.sqrt(from * 9));
    for (let i = 0; i < values.length; i++) {
      const [out, channel] = [Math.floor(i / (from * 9)), Math.floor(i / 9) % from];
      if (loud.includes(layer) && out === 0) values[i] *= 2000;
      if (loud.includes(layer - 1) && channel === 0) values[i] /= 2000;
    }
    nodes.push(node('Conv', [input, `w${layer}`], `c${layer}`, SAME), node('Relu', [`c${layer}`], `r${layer}`));
    weights.push(floatTensor(`w${layer}`, [CHANNELS, from, 3, 3], values));
    input = `r${layer}`;
  }
  return smallModel(SIZE, nodes, weights, [input]);
}

const pictureOf = (seed: number) => noise(3 * SIZE * SIZE, seed).map((v) => Math.round((v + 1) * 127.5));
async function* pictures(): AsyncGenerator<Float32Array> {
  for (const seed of [1, 2, 3, 4]) yield pictureOf(seed);
}
const calibrate = (loud: readonly number[]) => calibrateModel(chain(loud), pictures(), { scaling: SCALING });
const search = (calibrated: CalibratedModel) =>
  findFloatBlock(
    calibrated,
    { target: 'portable', ranges: chooseRanges(calibrated, { method: 'minmax' }) },
    [11, 12].map(pictureOf),
  );

describe('a block of layers that does not bear 8 bits', () => {
  let calibrated: CalibratedModel;
  beforeAll(async () => {
    calibrated = await calibrate([4, 5]);
  });

  it('is found where no layer alone would show it, with what it brings and costs', async () => {
    const block = (await search(calibrated))!;
    expect(block.layers).toEqual(expect.arrayContaining(['node_c5']));
    expect(block.layers.every((name) => /^node_c[3-7]$/.test(name))).toBe(true);
    expect(block.after).toBeGreaterThan(block.before + 3);
    // all but the first read six channels
    const all = CHANNELS * 3 + 9 * CHANNELS ** 2;
    expect(block.share).toBeCloseTo((block.layers.length * CHANNELS ** 2) / all, 9);
  });

  it('is not looked for where the outputs are near to the float model’s', async () => {
    expect(await search(await calibrate([]))).toBeUndefined();
  });
});

describe('what layers cost', () => {
  it('is their multiplications, all layers together 1', () => {
    const costs = layerCosts(decodeModel(chain([])).graph);
    expect([...costs.values()].reduce((a, b) => a + b, 0)).toBeCloseTo(1, 12);
    expect(costs.get('node_c0')! / costs.get('node_c1')!).toBeCloseTo(0.5, 12);
  });

  it('is unknown as a whole when one size is', () => {
    const model = decodeModel(chain([]));
    model.graph.node[3].opType = 'Strange';
    expect(layerCosts(model.graph).size).toBe(0);
  });
});
