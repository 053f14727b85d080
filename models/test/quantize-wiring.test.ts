import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DataType, decodeModel, encodeModel } from '../src/quantize/onnx-proto.js';
import { floatTensor } from '../src/quantize/tensor-data.js';
import { runQuantizeCommand, writePictures } from './quantize-command-fixture.js';
import { sqnr } from './quantize-graph-fixture.js';
import { node, noise, smallModel } from './quantize-model-fixture.js';

const SIZE = 16;
const AREA = SIZE * SIZE;
const SAME = { kernel_shape: [3, 3], pads: [1, 1, 1, 1], strides: [1, 1] };
const WEIGHTS = [floatTensor('a.w', [8, 3, 3, 3], noise(216, 1)), floatTensor('b.w', [2, 8, 3, 3], noise(144, 2))];
const NODES = [
  node('Conv', ['image', 'a.w'], 'a', SAME),
  node('Relu', ['a'], 'r'),
  node('Conv', ['r', 'b.w'], 'b', SAME),
];

let folder: string;
let plain: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vigie-quantize-wiring-'));
  await writePictures(folder, 6);
  plain = join(folder, 'float.onnx');
  await writeFile(plain, smallModel(SIZE, NODES, WEIGHTS, ['b']));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Quantizes with min-max; gives the file's path and what the command said. */
async function quantize(model: string, name: string, ...options: string[]) {
  const out = join(folder, name);
  const words = ['--calibration', join(folder, 'pictures'), '--method', 'minmax', '--json', '--out', out];
  const { stdout, stderr } = await runQuantizeCommand(model, ...words, ...options);
  return { out, stderr, report: JSON.parse(stdout) };
}

/** The model in a folder of its own with a manifest that says `input` of it. */
async function withManifest(name: string, bytes: Uint8Array, input: string): Promise<string> {
  const directory = join(folder, name);
  await mkdir(directory);
  await writeFile(join(directory, 'model.onnx'), bytes);
  await writeFile(join(directory, 'labels.txt'), 'thing\n');
  await writeFile(
    join(directory, 'manifest.yaml'),
    `name: small
version: 1.0.0
task: detect
labels: labels.txt
license: none
model: { file: model.onnx, engine: onnx, precision: fp32, sha256: ${'a'.repeat(64)} }
input: { name: image, width: 16, height: 16, layout: NCHW, color: RGB, dtype: float32, ${input} }
decoder: { type: yolox, strides: [8, 16], outputs: { predictions: b } }
thresholds: { default: 0.5 }
nms: { iou: 0.5, perClass: true, maxDetections: 10 }
golden: [{ file: a.png, detections: [], tolerance: { score: 0.1, iou: 0.5 } }]
`,
  );
  return join(directory, 'model.onnx');
}

const picture = Uint8Array.from(noise(3 * AREA, 99), (v) => Math.round((v + 1) * 127.5));

async function run(file: string, feeds: Record<string, Tensor>): Promise<Float32Array> {
  const session = await InferenceSession.create(await readFile(file), { logSeverityLevel: 3 });
  const results = await session.run(feeds);
  await session.release();
  return Object.values(results)[0].data as Float32Array;
}
const asFloat = (values: ArrayLike<number>) => new Tensor('float32', Float32Array.from(values), [1, 3, SIZE, SIZE]);
const asBytes = (values: Uint8Array, dims = [1, 3, SIZE, SIZE]) => new Tensor('uint8', values, dims);

describe('what the command hands on', () => {
  it('--target: signed activations and 8-bit weights for arm64, 7-bit weights for portable', async () => {
    const files = [await quantize(plain, 'arm64.onnx', '--target', 'arm64'), await quantize(plain, 'portable.onnx')];
    const [arm64, portable] = await Promise.all(files.map(async ({ out }) => decodeModel(await readFile(out)).graph));
    const largest = (graph: typeof arm64) =>
      graph.initializer
        .filter(({ name }) => name?.endsWith('_weights_quantized'))
        .flatMap(({ rawData }) => [...new Int8Array(Uint8Array.from(rawData!).buffer)])
        .reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    expect([largest(arm64), largest(portable)]).toEqual([127, 64]);
    const zeroPoint = (graph: typeof arm64) => {
      const name = graph.node.findLast((n) => n.opType === 'QuantizeLinear')!.input[2];
      return graph.initializer.find((t) => t.name === name)!.dataType;
    };
    expect([zeroPoint(arm64), zeroPoint(portable)]).toEqual([DataType.int8, DataType.uint8]);
    const wanted = await run(plain, { image: asFloat(picture) });
    for (const { out } of files) expect(sqnr(wanted, await run(out, { image: asBytes(picture) }))).toBeGreaterThan(15);
  });

  it('--input uint8 and --layout NHWC: bytes in, whatever the scaling, the same in either order', async () => {
    const [mean, std] = [
      [103.5, 116.3, 123.7],
      [57.4, 57.1, 58.4],
    ];
    const scaling = ['--mean', mean.join(), '--std', std.join()];
    const planes = await quantize(plain, 'planes.onnx', ...scaling, '--input', 'uint8');
    const pixels = await quantize(plain, 'pixels.onnx', ...scaling, '--layout', 'NHWC');
    expect([planes.report.inputLayout, pixels.report.inputLayout]).toEqual(['NCHW', 'NHWC']);
    expect([planes.report.inputType, pixels.report.inputType]).toEqual(['uint8', 'uint8']);
    const scaled = Array.from(picture, (v, i) => (v - mean[Math.floor(i / AREA)]) / std[Math.floor(i / AREA)]);
    const wanted = await run(plain, { image: asFloat(scaled) });
    const got = await run(planes.out, { image: asBytes(picture) });
    expect(sqnr(wanted, got)).toBeGreaterThan(15);
    const turned = picture.map((_, i) => picture[(i % 3) * AREA + Math.floor(i / 3)]);
    expect(await run(pixels.out, { image: asBytes(turned, [1, SIZE, SIZE, 3]) })).toEqual(got);
  });

  it('calibrates letterboxed pictures where and in what the manifest says', async () => {
    const bytes = await readFile(plain);
    const model = await withManifest('letterbox', bytes, 'resize: letterbox, anchor: top-left, pad: 114');
    const byManifest = await quantize(model, 'manifest.onnx', '--method', 'mse');
    expect(byManifest.stderr).toContain('letterbox top-left, pad 114');
    const letterbox = ['--method', 'mse', '--resize', 'letterbox', '--pad', '114'];
    const byOptions = await quantize(plain, 'options.onnx', ...letterbox, '--anchor', 'top-left');
    const centred = await quantize(plain, 'centred.onnx', ...letterbox);
    expect(byManifest.report.sha256).toBe(byOptions.report.sha256);
    expect(byManifest.report.sha256).not.toBe(centred.report.sha256);
  });

  it('feeds further inputs what the manifest lays down, in INT8 and for 16-bit weights', async () => {
    const model = decodeModel(smallModel(SIZE, [...NODES, node('Mul', ['b', 'factor'], 'y')], WEIGHTS, ['y']));
    const shape = { dim: [{ dimParam: 'batch' }, { dimValue: 1 }] };
    model.graph.input.push({ name: 'factor', type: { tensorType: { elemType: DataType.float, shape } } });
    const bytes = encodeModel(model);
    const file = await withManifest('constants', bytes, 'resize: stretch, constants: { factor: [3] }');
    const made = await quantize(file, 'constants.onnx', '--method', 'auto', '--report', join(folder, 'constants.json'));
    const factor = new Tensor('float32', Float32Array.of(3), [1, 1]);
    const wanted = await run(file, { image: asFloat(picture), factor });
    expect(sqnr(wanted, await run(made.out, { image: asBytes(picture), factor }))).toBeGreaterThan(15);
    const half = await quantize(file, 'constants-half.onnx', '--precision', 'fp16');
    expect(sqnr(wanted, await run(half.out, { image: asFloat(picture), factor }))).toBeGreaterThan(50);

    await writeFile(join(folder, 'bare.onnx'), bytes);
    await expect(quantize(join(folder, 'bare.onnx'), 'never.onnx')).rejects.toMatchObject({
      code: 'INPUT_UNSUPPORTED',
      message: expect.stringContaining('input.constants'),
    });
    const wrong = await withManifest('wrong', await readFile(plain), 'resize: stretch, constants: { size: [1] }');
    await expect(quantize(wrong, 'never.onnx')).rejects.toMatchObject({ message: expect.stringContaining('"size"') });
  });
});
