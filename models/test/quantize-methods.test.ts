import { InferenceSession, Tensor } from 'onnxruntime-node';
import { beforeAll, describe, expect, it } from 'vitest';
import { chooseMethod } from '../src/quantize/calibrate-auto.js';
import { CALIBRATION_METHODS } from '../src/quantize/calibrate-method.js';
import { calibrateModel } from '../src/quantize/calibrate-model.js';
import { measureLayers } from '../src/quantize/layer-report-measure.js';
import type { Judge } from '../src/quantize/max-drop-judge.js';
import { floatOutputs, outputDecibels, rankLayers } from '../src/quantize/max-drop-order.js';
import { limitDrop } from '../src/quantize/max-drop-run.js';
import { decodeModel } from '../src/quantize/onnx-proto.js';
import { buildInt8, type CalibratedModel, chooseRanges } from '../src/quantize/quantize-build.js';
import { splitHeldOut, spreadOver } from '../src/quantize/quantize-input.js';
import { quantizeOnnx } from '../src/quantize/quantize-onnx.js';
import { floatTensor } from '../src/quantize/tensor-data.js';
import { node, noise, smallModel } from './quantize-model-fixture.js';

const SIZE = 16;
const SAME = { kernel_shape: [3, 3], pads: [1, 1, 1, 1], strides: [1, 1] };
const PLAIN = { mean: [0, 0, 0], std: [1, 1, 1] };

/** Three convolutions and a read-out; `bad` has one weight per channel that swallows the scale of all others. */
function network(): Uint8Array {
  const weights = (out: number, seed: number, inputs: number) =>
    noise(out * inputs * 9, seed).map((v) => v / (3 * Math.sqrt(inputs)));
  const bad = weights(6, 2, 6);
  for (let c = 0; c < 6; c++) bad[c * 54] = 200;
  return smallModel(
    SIZE,
    [
      node('Conv', ['image', 'a.w'], 'a', SAME),
      node('Relu', ['a'], 'a_relu'),
      node('Conv', ['a_relu', 'bad.w'], 'bad', SAME),
      node('Relu', ['bad'], 'bad_relu'),
      node('Conv', ['bad_relu', 'c.w'], 'c', SAME),
      node('Relu', ['c'], 'c_relu'),
      node('Conv', ['c_relu', 'read.w'], 'read', { kernel_shape: [1, 1] }),
    ],
    [
      floatTensor('a.w', [6, 3, 3, 3], weights(6, 1, 3)),
      floatTensor('bad.w', [6, 6, 3, 3], bad),
      floatTensor('c.w', [4, 6, 3, 3], weights(4, 3, 6)),
      floatTensor('read.w', [2, 4, 1, 1], noise(8, 4)),
    ],
    ['read'],
  );
}

function pictureOf(seed: number): Float32Array {
  return noise(3 * SIZE * SIZE, seed).map((v) => Math.round((v + 1) * 127.5));
}

async function* stream(seeds: number[]): AsyncGenerator<Float32Array> {
  for (const seed of seeds) yield pictureOf(seed);
}

const SEEDS = [1, 2, 3, 4, 5, 6];
const HELD_OUT = [11, 12, 13].map(pictureOf);
const CONV = ['node_a', 'node_bad', 'node_c'];
let calibrated: CalibratedModel;
beforeAll(async () => {
  calibrated = await calibrateModel(network(), stream(SEEDS), { scaling: PLAIN, histograms: true });
});
const options = (method: (typeof CALIBRATION_METHODS)[number] = 'minmax') => ({
  target: 'portable' as const,
  ranges: chooseRanges(calibrated, { method }),
});

describe('calibration methods', () => {
  it.each(CALIBRATION_METHODS)('%s gives the same bytes every time, near to the float model', async (method) => {
    const make = () => quantizeOnnx(network(), stream(SEEDS), { target: 'portable', scaling: PLAIN, method });
    const { bytes, report } = await make();
    expect(Buffer.compare(bytes, (await make()).bytes)).toBe(0);
    expect(report.calibration).toBe(method === 'percentile' ? 'percentile 99.99' : method);
    const exact = await floatOutputs(calibrated, HELD_OUT);
    expect(await outputDecibels(calibrated, bytes, HELD_OUT, exact)).toBeGreaterThan(15);
  });

  it('do not widen a range, but for headroom', () => {
    const whole = chooseRanges(calibrated, { method: 'minmax' }).ranges;
    for (const method of CALIBRATION_METHODS) {
      for (const [tensor, { min, max }] of chooseRanges(calibrated, { method }).ranges) {
        expect(min).toBeGreaterThanOrEqual(Math.min(0, whole.get(tensor)!.min));
        expect(max).toBeLessThanOrEqual(Math.max(0, whole.get(tensor)!.max));
      }
    }
    const wide = chooseRanges(calibrated, { method: 'minmax', headroom: 2 }).ranges;
    expect(wide.get('a_relu')!.max).toBe(2 * whole.get('a_relu')!.max);
  });

  it('auto takes what is best on held-out pictures, and min-max where nothing is clearly better', async () => {
    const { ranges, methods } = await chooseMethod(calibrated, { target: 'portable' }, {}, HELD_OUT);
    expect(methods.map(({ method }) => method)).toEqual([...CALIBRATION_METHODS]);
    const best = methods.reduce((a, b) => (b.score > a.score ? b : a));
    const wanted = best.score >= methods[0].score + 1 ? best.method : 'minmax';
    expect(ranges.description.startsWith(wanted)).toBe(true);
  });
});

describe('nodes left in float', () => {
  it('are no QLinearConv, and unknown names are refused', () => {
    const built = buildInt8(calibrated, { ...options(), exclude: new Set(['node_bad']) });
    expect(built.layers.map(({ name }) => name)).toEqual(['node_a', 'node_c']);
    expect(built.report.floatConvolutions).toEqual(['node_bad', 'node_read']);
    const conv = decodeModel(built.bytes).graph.node.find((n) => n.output[0] === 'bad');
    expect(conv?.input[1]).toBe('bad.w');
    expect(() => buildInt8(calibrated, { ...options(), exclude: new Set(['typo']) })).toThrow(/"typo".*node_a/);
    expect(() => buildInt8(calibrated, { ...options(), exclude: new Set(CONV) })).toThrow(/exclude fewer/);
  });
});

describe('a layer report', () => {
  it('stands worst first, and its outputs agree with a run of its own', async () => {
    const built = buildInt8(calibrated, options());
    const pictures = (async function* () {
      yield* HELD_OUT;
    })();
    const report = await measureLayers(calibrated, built, pictures, 'held-out pictures');
    expect(report).toMatchObject({ pictures: 3, measuredOn: 'held-out pictures' });
    const byName = new Map(report.layers.map((layer) => [layer.name, layer]));
    expect([...byName.keys()].sort()).toEqual(CONV);
    // one weight of 200 makes the steps 200 / 64: all others of its channel round to nothing and are lost whole
    const others = noise(6 * 6 * 9, 2).map((v) => v / (3 * Math.sqrt(6)));
    const lost = others.reduce((sum, v, i) => sum + (i % 54 === 0 ? 0 : v * v), 0);
    expect(byName.get('node_bad')!.weightSqnr).toBeCloseTo(10 * Math.log10((6 * 200 ** 2 + lost) / lost), 3);
    for (const name of ['node_a', 'node_c']) expect(byName.get(name)!.weightSqnr).toBeGreaterThan(30);
    const own = report.layers.map(({ ownSqnr }) => ownSqnr);
    expect(own).toEqual([...own].sort((x, y) => x - y));
    const exact = await floatOutputs(calibrated, HELD_OUT);
    expect(report.outputs[0].sqnr).toBeCloseTo(await outputDecibels(calibrated, built.bytes, HELD_OUT, exact), 1);
    for (const tensor of report.tensors) {
      // what came before can only be added to a tensor's own rounding; 0.5 dB for luck
      expect(tensor.sqnr).toBeLessThan(tensor.ownSqnr + 0.5);
      expect(tensor.ownSqnr).toBeGreaterThan(20);
      expect(tensor.clipped).toBeLessThan(0.01);
    }
  });

  it('reads signed activations too', async () => {
    const built = buildInt8(calibrated, { ...options(), target: 'arm64' });
    const report = await measureLayers(calibrated, built, stream([11]), 'one picture');
    for (const tensor of report.tensors) expect(tensor.sqnr).toBeGreaterThan(15);
  });
});

describe('a bound on the loss', () => {
  /** Scores by which convolutions are in float, read from the model itself. */
  const judge = (scoreOf: (float: string[]) => number): Judge => ({
    metric: 'test',
    score: async ({ bytes }) => {
      const { node: nodes } = decodeModel(bytes).graph;
      const isFloat = (name: string) => nodes.some((n) => n.output[0] === name && n.input[1] === `${name}.w`);
      return scoreOf(['a', 'bad', 'c'].filter(isFloat));
    },
  });
  const settings = { float: { bytes: network(), inputType: 'float32' as const }, tensors: HELD_OUT };

  it('ranks layers by what each does to the outputs alone', async () => {
    const ranked = await rankLayers(calibrated, options(), HELD_OUT);
    expect(ranked.map(({ name }) => name).sort()).toEqual(CONV);
    const exact = await floatOutputs(calibrated, HELD_OUT);
    for (const { name, sqnr } of ranked) {
      const alone = buildInt8(calibrated, { ...options(), exclude: new Set(CONV.filter((other) => other !== name)) });
      expect(sqnr).toBeCloseTo(await outputDecibels(calibrated, alone.bytes, HELD_OUT, exact), 9);
    }
    expect(ranked[0].sqnr).toBeLessThanOrEqual(ranked[1].sqnr);
  });

  it('puts back as many layers, worst first, as it takes', async () => {
    const [worst, second] = (await rankLayers(calibrated, options(), HELD_OUT)).map(({ name }) => name);
    const needed = [worst, second].map((name) => name.slice('node_'.length));
    const { built, drop } = await limitDrop(
      calibrated,
      options(),
      judge((float) => (float.length === 3 || needed.every((name) => float.includes(name)) ? 1 : 0.5)),
      { ...settings, maxDrop: 0.01 },
    );
    expect(drop).toMatchObject({ floatScore: 1, score: 1, loss: 0, backToFloat: [worst, second] });
    expect(drop.path.map(({ floatLayers }) => floatLayers)).toEqual([0, 1, 2, 1]);
    expect(built.layers).toHaveLength(1);
  });

  it('changes nothing where nothing is lost, and says so when even one INT8 layer is too much', async () => {
    const { drop, built } = await limitDrop(
      calibrated,
      options(),
      judge(() => 1),
      { ...settings, maxDrop: 0 },
    );
    expect(drop.backToFloat).toEqual([]);
    expect(Buffer.compare(built.bytes, buildInt8(calibrated, options()).bytes)).toBe(0);
    const hopeless = judge((float) => (float.length === 3 ? 1 : 0.2));
    await expect(limitDrop(calibrated, options(), hopeless, { ...settings, maxDrop: 0.1 })).rejects.toMatchObject({
      code: 'MAX_DROP_UNREACHED',
    });
  });
});

describe('a uint8 input for unlike channels', () => {
  it('folds the scaling into the model and calibrates on the same bytes', async () => {
    const scaling = { mean: [103.5, 116.3, 123.7], std: [57.4, 57.1, 58.4] };
    const scaled = (bytes: Float32Array) =>
      bytes.map((v, i) => (v - scaling.mean[Math.floor(i / SIZE ** 2)]) / scaling.std[Math.floor(i / SIZE ** 2)]);
    const pictures = (async function* () {
      for (const seed of SEEDS) yield scaled(pictureOf(seed));
    })();
    const made = await quantizeOnnx(network(), pictures, { target: 'portable', scaling, inputType: 'uint8' });
    expect(made.report.inputType).toBe('uint8');
    const run = async (model: Uint8Array, tensor: Tensor) => {
      const session = await InferenceSession.create(model);
      const { read } = await session.run({ image: tensor });
      await session.release();
      return read.data as Float32Array;
    };
    const dims = [1, 3, SIZE, SIZE];
    const exact = await run(network(), new Tensor('float32', scaled(pictureOf(2)), dims));
    const rough = await run(made.bytes, new Tensor('uint8', Uint8Array.from(pictureOf(2)), dims));
    const signal = exact.reduce((sum, v) => sum + v * v, 0);
    const error = exact.reduce((sum, v, i) => sum + (v - rough[i]) ** 2, 0);
    expect(10 * Math.log10(signal / error)).toBeGreaterThan(15);
  });
});

describe('pictures', () => {
  it('every fifth is held out from ten on', () => {
    const paths = Array.from({ length: 12 }, (_, i) => `p${i}`);
    expect(splitHeldOut(paths)).toMatchObject({ heldOut: ['p4', 'p9'] });
    expect(splitHeldOut(paths).calibration).toHaveLength(10);
    expect(splitHeldOut(paths.slice(0, 9)).heldOut).toHaveLength(9);
    expect(spreadOver(paths, 3)).toEqual(['p2', 'p6', 'p10']);
    expect(spreadOver(paths, 20)).toEqual(paths);
  });
});
