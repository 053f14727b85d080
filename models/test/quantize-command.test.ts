import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeModel } from '../src/quantize/onnx-proto.js';
import { floatTensor } from '../src/quantize/tensor-data.js';
import { runQuantizeCommand, writePictures } from './quantize-command-fixture.js';
import { node, noise, smallModel } from './quantize-model-fixture.js';

const SIZE = 16;
const SAME = { kernel_shape: [3, 3], pads: [1, 1, 1, 1], strides: [1, 1] };

let folder: string;
let model: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vigie-quantize-'));
  model = join(folder, 'float.onnx');
  const bytes = smallModel(
    SIZE,
    [node('Conv', ['image', 'a.w'], 'a', SAME), node('Relu', ['a'], 'r'), node('Conv', ['r', 'b.w'], 'b', SAME)],
    [floatTensor('a.w', [8, 3, 3, 3], noise(216, 1)), floatTensor('b.w', [2, 8, 3, 3], noise(144, 2))],
    ['b'],
  );
  await writeFile(model, bytes);
  await writePictures(folder, 11);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const quantize = async (...args: string[]) => (await runQuantizeCommand(...args)).stdout;
const pictures = () => ['--calibration', join(folder, 'pictures')];
const minmax = ['--method', 'minmax'];
const out = (name: string) => ['--out', join(folder, name)];

describe('vigie-models quantize', () => {
  it('gives the same bytes every time, with or without a report', async () => {
    const plain = JSON.parse(await quantize(model, ...pictures(), ...out('a.onnx'), ...minmax, '--json'));
    expect(plain).toMatchObject({
      target: 'portable',
      calibration: 'minmax',
      pictures: 11,
      inputType: 'uint8',
      convolutions: 2,
    });
    const reports = ['--report', join(folder, 'b.json'), '--report', join(folder, 'b.md')];
    await quantize(model, ...pictures(), ...out('b.onnx'), ...minmax, ...reports);
    const [a, b] = await Promise.all(['a.onnx', 'b.onnx'].map((name) => readFile(join(folder, name))));
    expect(Buffer.compare(a, b)).toBe(0);
    const report = JSON.parse(await readFile(join(folder, 'b.json'), 'utf8'));
    expect(report).toMatchObject({
      sha256: plain.sha256,
      quality: { pictures: 11, measuredOn: 'calibration pictures' },
    });
    expect(report.quality.layers).toHaveLength(2);
    expect(await readFile(join(folder, 'b.md'), 'utf8')).toContain('`node_a`');
    expect((await readdir(folder)).filter((name) => name.endsWith('.partial'))).toEqual([]);
  });

  it('tries all methods when told none, on pictures held out, and says how they did', async () => {
    const report = JSON.parse(await quantize(model, ...pictures(), ...out('auto.onnx'), '--json'));
    expect(report.pictures).toBe(9);
    expect(report.methods.map((m: { method: string }) => m.method)).toEqual(['minmax', 'percentile', 'entropy', 'mse']);
  });

  it('leaves named nodes in float, and says which', async () => {
    const text = await quantize(
      model,
      ...pictures(),
      ...out('x.onnx'),
      '--exclude',
      'node_b',
      '--target',
      'arm64',
      '--json',
    );
    expect(JSON.parse(text)).toMatchObject({ target: 'arm64', convolutions: 1, floatConvolutions: ['node_b'] });
    await expect(quantize(model, ...pictures(), ...out('y.onnx'), '--exclude', 'nobody')).rejects.toMatchObject({
      code: 'NODE_UNKNOWN',
    });
  });

  it('takes bytes for unlike channels when told to', async () => {
    const scaling = ['--mean', '103.5,116.3,123.7', '--std', '57.4,57.1,58.4'];
    const asFloat = JSON.parse(await quantize(model, ...pictures(), ...out('f.onnx'), ...scaling, '--json'));
    expect(asFloat.inputType).toBe('float32');
    const asBytes = await quantize(model, ...pictures(), ...out('u.onnx'), ...scaling, '--input', 'uint8', '--json');
    expect(JSON.parse(asBytes).inputType).toBe('uint8');
  });

  it('stores weights in 16 bits without any picture', async () => {
    const report = JSON.parse(await quantize(model, ...out('half.onnx'), '--precision', 'fp16', '--json'));
    expect(report).toMatchObject({ precision: 'fp16', tensors: 2, tooLarge: [] });
    const { graph } = decodeModel(await readFile(join(folder, 'half.onnx')));
    expect(graph.node.filter((n) => n.opType === 'Cast')).toHaveLength(2);
  });

  it('refuses what cannot work before it calibrates, and writes nothing', async () => {
    const never = out('never.onnx');
    await expect(quantize(model, ...pictures(), ...never, '--max-drop', '0.01')).rejects.toMatchObject({
      code: 'MANIFEST_NEEDED',
    });
    for (const bad of [
      [...never],
      [...pictures(), ...never, '--max-drop', '2'],
      [...pictures(), ...never, '--data', folder],
      [...pictures(), ...never, '--report', 'report.txt'],
      [...pictures(), ...never, '--percentile', '10'],
      [...pictures(), ...never, '--method', 'guess'],
      [...pictures(), ...never, '--layout', 'NHWC', '--input', 'float32'],
      [...pictures(), ...never, '--float-share', '-1'],
      [...pictures(), ...never, '--pad', '256'],
    ]) {
      await expect(quantize(model, ...bad), bad.join(' ')).rejects.toMatchObject({ name: 'CommanderError' });
    }
    expect(await readdir(folder)).not.toContain('never.onnx');
  });
});
