import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { decodeModel, encodeModel } from '../src/quantize/onnx-proto.js';
import { prepareForQuantization } from '../src/quantize/prepare.js';
import { quantizeOnnx } from '../src/quantize/quantize-onnx.js';
import { executedOperators, sqnr } from './quantize-graph-fixture.js';
import { noise } from './quantize-model-fixture.js';

const folder = new URL('../../../shared/material/models/', import.meta.url);

/** Layers that must run in INT8, and the float ones: the read-outs. */
const MODELS = [
  { file: 'ultraface_slim_320.onnx', dims: [1, 3, 240, 320], layers: 36, readOuts: 6, floatOperators: ['Relu'] },
  {
    file: 'yolox_nano_416_coco.onnx',
    dims: [1, 3, 416, 416],
    layers: 104,
    readOuts: 9,
    floatOperators: ['Sigmoid', 'Mul'],
  },
  {
    file: 'nanodet_m_320_coco.onnx',
    dims: [1, 3, 320, 320],
    layers: 70,
    readOuts: 3,
    floatOperators: ['LeakyRelu', 'Add'],
  },
];

/** Smooth random blobs, 0..255: closer to pictures than noise is. */
function picture(dims: number[], seed: number): Float32Array {
  const [, channels, height, width] = dims;
  const waves = noise(24, seed);
  return Float32Array.from({ length: channels * height * width }, (_, i) => {
    const [x, y, c] = [
      (i % width) / width,
      (Math.floor(i / width) % height) / height,
      Math.floor(i / (width * height)),
    ];
    let value = 0;
    for (let k = 0; k < 4; k++) value += Math.sin(9 * (waves[4 * k] * x + waves[4 * k + 1] * y) * (k + 1) + c + seed);
    return Math.min(255, Math.max(0, 128 + 45 * value));
  });
}

describe.each(MODELS)('$file', ({ file, dims, layers, readOuts, floatOperators }) => {
  const path = new URL(file, folder);
  const missing = existsSync(path) ? undefined : `${file} is not there (shared/material/models)`;
  if (missing) process.stderr.write(`skipped: ${missing}\n`);

  it.skipIf(missing)('computes the same once prepared', async () => {
    const bytes = await readFile(path);
    const { model, notes } = prepareForQuantization(decodeModel(bytes));
    expect(notes[0]).toMatch(/^opset (9|11|12) upgraded to 13$/);
    expect(model.graph.node.map((n) => n.opType)).not.toContain('BatchNormalization');
    expect(model.graph.node.map((n) => n.opType)).not.toContain('Shape');
    const data = picture(dims, 3).map((v) => v / 255);
    const [wanted, got] = [await run(bytes, data, dims), await run(encodeModel(model), data, dims)];
    for (const name of Object.keys(wanted)) {
      const largest = wanted[name].reduce((most, value, i) => Math.max(most, Math.abs(value - got[name][i])), 0);
      expect(largest, name).toBeLessThan(1e-5);
    }
  });

  it.skipIf(missing)('has its layers fused, and a float tail', async () => {
    const bytes = await readFile(path);
    async function* pictures() {
      for (const seed of [1, 2]) yield picture(dims, seed);
    }
    const { bytes: int8, report } = await quantizeOnnx(bytes, pictures(), {
      target: 'portable',
      scaling: { mean: [0, 0, 0], std: [1, 1, 1] },
    });
    expect(report).toMatchObject({ convolutions: layers, inputType: 'uint8' });
    expect(report.floatConvolutions).toHaveLength(readOuts);
    expect(int8.length / bytes.length).toBeLessThan(0.39);
    const executed = await executedOperators(int8);
    expect(executed).toMatchObject({ QLinearConv: layers, Conv: readOuts });
    const inHead = file.startsWith('yolox') ? 6 : file.startsWith('nanodet') ? 3 : 0;
    for (const operator of floatOperators) expect(executed[operator] ?? 0, operator).toBeLessThanOrEqual(inHead);
    const data = picture(dims, 1);
    const wanted = await run(bytes, data, dims);
    const got = await run(int8, Uint8Array.from(data, Math.round), dims);
    for (const name of Object.keys(wanted)) expect(sqnr(wanted[name], got[name]), name).toBeGreaterThan(3);
  });
});

async function run(bytes: Uint8Array, data: Float32Array | Uint8Array, dims: number[]) {
  const session = await InferenceSession.create(bytes, { intraOpNumThreads: 2, logSeverityLevel: 3 });
  const type = data instanceof Uint8Array ? 'uint8' : 'float32';
  const results = await session.run({ [session.inputNames[0]]: new Tensor(type, data, dims) });
  await session.release();
  return Object.fromEntries(Object.entries(results).map(([name, t]) => [name, t.data as Float32Array]));
}
