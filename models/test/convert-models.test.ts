import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { convertOnnx } from '../src/convert/convert-onnx.js';
import { tfjsModelFiles } from '../src/convert/tfjs-model-files.js';
import { sha256Hex } from '../src/package/digest.js';
import { openPackageDirectory } from '../src/package/package.js';
import { decodePlanes } from '../src/package/picture.js';
import { decodeModel, encodeModel } from '../src/quantize/onnx-proto.js';
import { makeFrameFitter } from '../src/runtime/fit-frame.js';
import { makePreprocessor } from '../src/runtime/preprocess.js';
import { compareConverted, OnnxGraph } from './convert-fixture.js';
import { available, folderOf, temporaryFolder, YARD_STILLS } from './package-fixture.js';
import { noise } from './quantize-model-fixture.js';

const models = fileURLToPath(new URL('..', import.meta.url));
const shipped = join(models, 'zoo/person-detector-fp32');
const material = fileURLToPath(new URL('../../../shared/material/models', import.meta.url));
const cli = (...args: string[]) => promisify(execFile)(process.execPath, [join(models, 'dist/cli.js'), ...args]);

describe('the shipped detector', () => {
  it('gives on real pictures what ONNX Runtime gives', async () => {
    const bytes = await readFile(join(shipped, 'model.onnx'));
    const { manifest } = await openPackageDirectory(shipped);
    const preprocessor = makePreprocessor(manifest.input);
    for (const still of (await readdir(YARD_STILLS)).filter((name) => /\.(jpg|png)$/.test(name)).slice(0, 3)) {
      const planes = await decodePlanes(await readFile(join(YARD_STILLS, still)));
      preprocessor.write(makeFrameFitter(manifest.input)(planes).frame.data);
      for (const { name, dims, onnxDims, difference } of await compareConverted(
        bytes,
        Float32Array.from(preprocessor.data),
      )) {
        expect(dims).toEqual(onnxDims);
        expect(difference, `${name} on ${still}`).toBeLessThan(1e-4);
      }
    }
  });

  it('becomes a package that passes its golden frames, the same bytes each time', async () => {
    const out = join(await temporaryFolder(), 'tfjs');
    const { stdout } = await cli('convert', join(shipped, 'model.onnx'), '--to', 'tfjs', '--out', out, '--json');
    expect(JSON.parse(stdout)).toMatchObject({
      directory: out,
      package: true,
      files: ['model.json', 'group1-shard1of1.bin'],
    });
    const verdict = JSON.parse((await cli('verify', out, '--json')).stdout);
    expect(verdict).toMatchObject({ ok: true, name: 'person-detector', precision: 'fp32' });
    expect(verdict.runtime).toMatch(/^tfjs-/);
    const again = tfjsModelFiles(convertOnnx(await readFile(join(shipped, 'model.onnx'))), 'float32');
    for (const [path, bytes] of again) expect(sha256Hex(bytes)).toBe(sha256Hex(await readFile(join(out, path))));
    await expect(cli('convert', join(shipped, 'model.onnx'), '--to', 'tfjs', '--out', out)).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining('TARGET_NOT_EMPTY'),
    });
  });
});

describe.each<[string, (value: number) => number]>([
  // As its documentation has it: bytes as they are. The others: normalised.
  ['yolox_nano_416_coco.onnx', (value) => 127.5 * (value + 1)],
  ['nanodet_m_320_coco.onnx', (value) => 2 * value],
  ['ultraface_slim_320.onnx', (value) => value],
])('%s', (file, scale) => {
  it.skipIf(!available(join(material, file)))('converts', async () => {
    const bytes = await readFile(join(material, file));
    const { input } = convertOnnx(bytes);
    const values = noise(3 * input.width * input.height, 3).map(scale);
    for (const { dims, onnxDims, difference } of await compareConverted(bytes, values)) {
      expect(dims).toEqual(onnxDims);
      expect(difference).toBeLessThan(1e-4);
    }
  });
});

describe('weights', () => {
  const small = () => {
    const g = new OnnxGraph(16, 16);
    return g.bytes([g.conv(g.one('Relu', [g.conv('image', 3, 16, 3)]), 16, 8, 3)]);
  };

  it.each([
    ['float16', 0.53, 2e-3],
    ['uint8', 0.33, 5e-2],
  ] as const)('as %s take less room and give nearly the same', async (format, share, tolerance) => {
    const bytes = small();
    const [{ difference }] = await compareConverted(bytes, noise(768, 8), format);
    expect(difference).toBeGreaterThan(0);
    expect(difference).toBeLessThan(tolerance);
    const size = (which: 'float32' | typeof format) =>
      tfjsModelFiles(convertOnnx(bytes), which).get('group1-shard1of1.bin')!.length;
    expect(size(format)).toBeLessThan(share * size('float32'));
  });
});

it('takes a batch that the file leaves open for 1, and no open size', () => {
  const g = new OnnxGraph(8, 8);
  const model = decodeModel(g.bytes([g.conv('image', 3, 4, 3)]));
  const { dim } = model.graph.input[0].type!.tensorType!.shape!;
  dim[0] = { dimParam: 'batch' };
  expect(convertOnnx(encodeModel(model)).outputs[0].dims).toEqual([1, 4, 6, 6]);
  dim[2] = { dimParam: 'height' };
  expect(() => convertOnnx(encodeModel(model))).toThrowError(expect.objectContaining({ code: 'INPUT_UNSUPPORTED' }));
});

describe('what cannot be converted', () => {
  const refusal = (build: (g: OnnxGraph) => string[]) => {
    const g = new OnnxGraph(8, 8);
    return () => convertOnnx(g.bytes(build(g)));
  };

  it.each<[string, (g: OnnxGraph) => string[], RegExp]>([
    ['an operator', (g) => [g.one('LSTM', ['image'])], /node "node_lstm_0" \(LSTM\)/],
    ['a quantized network', (g) => [g.one('DequantizeLinear', ['image', 'image'])], /convert the FP32 model/],
    ['strides with dilations', (g) => [g.conv('image', 3, 3, 3, { strides: [2, 2], dilations: [2, 2] })], /node_conv_/],
    ['weights that are calculated', (g) => [g.one('Conv', ['image', 'image'])], /calculated/],
    ['a reshape that does not fit', (g) => [g.one('Reshape', ['image', g.integers([7, -1])])], /cannot be reshaped/],
    [
      'reflected padding',
      (g) => [g.one('Pad', ['image', g.integers([0, 0, 1, 1, 0, 0, 1, 1])], { mode: 'reflect' })],
      /mode reflect/,
    ],
    ['an input that is not there', (g) => [g.one('Relu', ['nowhere'])], /"nowhere"/],
  ])('%s names the node', (_, build, message) => {
    expect(refusal(build)).toThrowError(
      expect.objectContaining({ code: 'OPERATOR_UNSUPPORTED', message: expect.stringMatching(message) }),
    );
  });

  it.each([
    ['no ONNX file', () => convertOnnx(Buffer.from('hello')), 'NOT_ONNX'],
    ['an empty file', () => convertOnnx(new Uint8Array()), 'NOT_ONNX'],
  ])('%s has a code', (_, convert, code) => {
    expect(convert).toThrowError(expect.objectContaining({ code }));
  });

  it('the command exits with 2 and one line', async () => {
    const folder = await folderOf({ 'bad.onnx': Buffer.from('hello') });
    const run = cli('convert', join(folder, 'bad.onnx'), '--to', 'tfjs', '--out', join(folder, 'out'));
    await expect(run).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^vigie-models: NOT_ONNX: .+\n$/),
    });
  });
});
