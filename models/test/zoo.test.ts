import { createHash } from 'node:crypto';
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { InferenceSession } from 'onnxruntime-node';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { runGoldenFrames } from '../src/package/golden-test.js';
import { type OpenPackage, openPackageDirectory } from '../src/package/package.js';
import { decodePicture } from '../src/package/picture.js';
import { decodeModel, encodeModel } from '../src/quantize/onnx-proto.js';
import { floatValues } from '../src/quantize/tensor-data.js';
import { quantizeCommand } from '../src/quantize-command.js';
import { intersectionOverUnion } from '../src/runtime/detection.js';
import { type LoadedModel, loadOnnxDetector } from '../src/runtime/onnx-session.js';

const zoo = fileURLToPath(new URL('../zoo/', import.meta.url));
const stills = fileURLToPath(new URL('../media/stills/', import.meta.url));
const PRECISIONS = ['fp32', 'int8'] as const;
type Entry = { directory: string; open: OpenPackage; model: LoadedModel };
const packages = {} as Record<(typeof PRECISIONS)[number], Entry>;
let scratch: string;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'vigie-zoo-'));
  for (const precision of PRECISIONS) {
    const directory = join(zoo, `person-detector-${precision}`);
    const open = await openPackageDirectory(directory);
    packages[precision] = { directory, open, model: await loadOnnxDetector(directory, open) };
  }
});

afterAll(async () => {
  for (const { model } of Object.values(packages)) await model.close();
  await rm(scratch, { recursive: true, force: true });
});

describe('the packages of the zoo', () => {
  it('are two releases of one model', () => {
    const [fp32, int8] = PRECISIONS.map((precision) => packages[precision].open);
    expect([fp32.manifest.name, fp32.manifest.version, fp32.manifest.model.precision]).toEqual([
      'person-detector',
      '1.0.0',
      'fp32',
    ]);
    expect([int8.manifest.name, int8.manifest.version, int8.manifest.model.precision]).toEqual([
      'person-detector',
      '1.1.0',
      'int8',
    ]);
    expect(int8.manifest.input).toEqual({ ...fp32.manifest.input, dtype: 'uint8' });
    expect([fp32.labels, int8.labels]).toEqual([['person'], ['person']]);
    const size = (open: OpenPackage) => open.files.find(({ path }) => path === 'model.onnx')?.size ?? 0;
    expect(size(fp32) / size(int8)).toBeGreaterThan(3.5);
  });

  it('credit their training data and state figures of this very model', () => {
    for (const { open } of Object.values(packages)) {
      expect(open.manifest.provenance?.trainingData).toContain('CC BY 4.0');
      expect(open.manifest.metrics?.length).toBeGreaterThan(0);
      expect(open.files.map(({ path }) => path)).toContain('LICENSE.txt');
    }
  });

  it.each(PRECISIONS)('%s finds in its golden frames what it must, among them an empty one', async (precision) => {
    const { directory, open, model } = packages[precision];
    const results = await runGoldenFrames(directory, open, model);
    expect(results.map(({ verdict }) => verdict)).toEqual(results.map(() => ({ ok: true })));
    expect(open.manifest.golden.map(({ detections }) => detections.length)).toEqual([1, 2, 0]);
    // within the tolerance of the threshold a detection may be missing: then the frame would prove nothing
    const { default: threshold } = open.manifest.thresholds;
    for (const { detections, tolerance } of open.manifest.golden) {
      for (const { score } of detections) expect(score).toBeGreaterThan(threshold + tolerance.score);
    }
  });

  it('fail their golden frames when one convolution is damaged', async () => {
    const directory = join(scratch, 'damaged');
    await cp(packages.int8.directory, directory, { recursive: true });
    const model = decodeModel(await readFile(join(directory, 'model.onnx')));
    const weights = model.graph.initializer.find(
      ({ name }) => name?.includes('stages.1.0') && name.endsWith('_weights_quantized'),
    );
    weights!.rawData = new Uint8Array(weights!.rawData!.length);
    const bytes = encodeModel(model);
    await writeFile(join(directory, 'model.onnx'), bytes);
    const manifest = await readFile(join(directory, 'manifest.yaml'), 'utf8');
    const digest = createHash('sha256').update(bytes).digest('hex');
    const before = packages.int8.open.manifest.model.sha256;
    await writeFile(join(directory, 'manifest.yaml'), manifest.replace(before, digest));
    const open = await openPackageDirectory(directory);
    const loaded = await loadOnnxDetector(directory, open);
    const results = await runGoldenFrames(directory, open, loaded);
    await loaded.close();
    expect(results.some(({ verdict }) => !verdict.ok)).toBe(true);
  });
});

describe('INT8 beside FP32', () => {
  it('finds the same people in the stills, scores within 0.05', async () => {
    let compared = 0;
    for (const file of (await readdir(stills)).filter((name) => name.endsWith('.jpg'))) {
      const bytes = await readFile(join(stills, file));
      const found = await Promise.all(
        PRECISIONS.map(async (precision) => {
          const picture = await decodePicture(bytes, packages[precision].open.manifest.input);
          return (await packages[precision].model.detect(picture.frame, picture.content)).detections;
        }),
      );
      for (const [mine, other] of [found, found.toReversed()]) {
        for (const detection of mine.filter(({ score }) => score >= 0.45)) {
          const same = other.find(({ box }) => intersectionOverUnion(box, detection.box) >= 0.75);
          expect(same, `${file}: ${JSON.stringify(detection)}`).toBeDefined();
          expect(Math.abs(same!.score - detection.score)).toBeLessThan(0.05);
          compared++;
        }
      }
    }
    expect(compared).toBeGreaterThan(20);
  });

  it('runs as fused integer convolutions in ONNX Runtime', async () => {
    const path = join(scratch, 'optimized.onnx');
    const session = await InferenceSession.create(join(packages.int8.directory, 'model.onnx'), {
      optimizedModelFilePath: path,
      logSeverityLevel: 3,
    });
    await session.release();
    const counts = new Map<string, number>();
    for (const { opType } of decodeModel(await readFile(path)).graph.node)
      counts.set(opType, (counts.get(opType) ?? 0) + 1);
    expect(counts.get('QLinearConv')).toBe(31);
    expect(counts.get('QLinearAdd')).toBe(8);
    expect(counts.get('QuantizeLinear')).toBeUndefined();
    // one per read-out of the head
    expect(counts.get('DequantizeLinear')).toBe(6);
  });

  it('is what the command makes of the FP32 model and the stills', async () => {
    const out = join(scratch, 'int8.onnx');
    const model = join(packages.fp32.directory, 'model.onnx');
    const printed = vi.spyOn(console, 'log').mockImplementation(() => {});
    const progress = vi.spyOn(process.stderr, 'write').mockImplementation(() => true);
    const args = [model, '--calibration', stills, '--out', out, '--headroom', '1.3', '--json'];
    await quantizeCommand().parseAsync(args, { from: 'user' });
    const report = JSON.parse(String(printed.mock.calls[0][0]));
    expect(progress.mock.calls.join('')).toContain('calibrating 24/24');
    vi.restoreAllMocks();
    expect(report).toMatchObject({ file: out, target: 'portable', pictures: 24, inputType: 'uint8', convolutions: 31 });
    const made = decodeModel(await readFile(out)).graph.initializer;
    const shipped = decodeModel(await readFile(join(packages.int8.directory, 'model.onnx'))).graph.initializer;
    expect(made.map(({ name }) => name)).toEqual(shipped.map(({ name }) => name));
    // Weights never depend on the processor. Activation scales come from a float run, so another one may step once.
    for (const [index, tensor] of shipped.entries()) {
      if (tensor.name?.endsWith('_weights_quantized')) {
        expect(Buffer.compare(made[index].rawData!, tensor.rawData!), tensor.name).toBe(0);
      }
      if (!tensor.name?.endsWith('_scale') || tensor.name.endsWith('_bias_scale')) continue;
      const [is, was] = [floatValues(made[index])[0], floatValues(tensor)[0]];
      expect(Math.abs(is / was - 1)).toBeLessThan(0.01);
    }
  });
});
