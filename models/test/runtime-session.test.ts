import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runGoldenFrames } from '../src/package/golden-test.js';
import { openPackageDirectory } from '../src/package/package.js';
import { decodePicture, decodePlanes } from '../src/package/picture.js';
import { type LoadedModel, loadOnnxDetector } from '../src/runtime/onnx-session.js';
import { available, folderOf, PERSON_MODEL, packageFiles, personPackage, YARD_STILLS } from './package-fixture.js';

const still = (name = 'still_00.jpg') => readFile(join(YARD_STILLS, name));
const load = async (folder: string) => loadOnnxDetector(folder, await openPackageDirectory(folder));

describe.skipIf(!available(PERSON_MODEL, YARD_STILLS))('loadOnnxDetector', () => {
  let model: LoadedModel;
  beforeAll(async () => {
    model = await load(await personPackage({}, [['default: 0.4', 'default: 0.3']]));
  });
  afterAll(() => model.close());

  it('says what it is', () => {
    expect(model.runtime).toMatch(/^onnxruntime-node \d+\.\d+\.\d+ cpu$/);
    expect(model.labels).toEqual(['person']);
    expect(model.input).toMatchObject({ width: 320, height: 320 });
  });

  it('finds the same in a frame as often as it is asked, whatever came between', async () => {
    const { frame } = await decodePicture(await still(), model.input);
    const other = await decodePicture(await still('still_03.jpg'), model.input);
    const first = (await model.detect(frame)).detections;
    const between = (await model.detect(other.frame)).detections;
    expect((await model.detect(frame)).detections).toEqual(first);
    expect(between).not.toEqual(first);
    expect(first.length).toBeGreaterThan(0);
  });

  it('reports the time of each stage', async () => {
    const { stagesMs } = await model.detect((await decodePicture(await still(), model.input)).frame);
    expect(Object.keys(stagesMs)).toEqual(['preprocess', 'inference', 'decode']);
    for (const value of Object.values(stagesMs)) expect(value).toBeGreaterThanOrEqual(0);
  });

  it('resizes a frame of another size just as a picture is resized', async () => {
    const bytes = await still();
    const fitted = await decodePicture(bytes, model.input);
    expect((await model.detect(await decodePlanes(bytes))).detections).toEqual(
      (await model.detect(fitted.frame)).detections,
    );
  });

  it('gives boxes of the picture, not of the letterbox around it', async () => {
    const bytes = await still();
    const boxed = await decodePicture(bytes, { ...model.input, resize: 'letterbox' });
    const { detections } = await model.detect(boxed.frame, boxed.content);
    const raw = (await model.detect(boxed.frame)).detections;
    expect(detections.length).toBe(raw.length);
    expect(detections.length).toBeGreaterThan(0);
    for (const [index, { box }] of detections.entries()) {
      // 640 x 360 in 320 x 320: the picture fills the middle 180 rows.
      expect(box[0]).toBeCloseTo(raw[index].box[0], 6);
      expect(box[1]).toBeCloseTo(Math.max(0, (raw[index].box[1] - 70 / 320) / (180 / 320)), 6);
    }
  });

  it('refuses planes of the wrong length', async () => {
    const frame = { width: 320, height: 320, data: new Uint8Array(100) };
    await expect(model.detect(frame)).rejects.toBeInstanceOf(RangeError);
  });

  it.each<[string, string, [string, string][]]>([
    ['another input name', 'MODEL_INPUT_MISMATCH', [['name: image', 'name: images']]],
    ['another input size', 'MODEL_INPUT_MISMATCH', [['width: 320', 'width: 640']]],
    ['another layout', 'MODEL_INPUT_MISMATCH', [['layout: NCHW', 'layout: NHWC']]],
    ['another type', 'MODEL_INPUT_MISMATCH', [['dtype: float32', 'dtype: uint8']]],
    ['an output that is not there', 'MODEL_OUTPUT_MISMATCH', [['logits: logits', 'logits: scores']]],
    [
      'outputs the wrong way round',
      'MODEL_OUTPUT_MISMATCH',
      [['logits: logits, distances: distances', 'logits: distances, distances: logits']],
    ],
    ['other strides', 'MODEL_OUTPUT_MISMATCH', [['[8, 16, 32]', '[8, 16]']]],
  ])('refuses a manifest with %s', async (_name, code, replace) => {
    await expect(load(await personPackage({}, replace))).rejects.toMatchObject({ code });
  });

  it('refuses a package of another engine', async () => {
    const folder = await personPackage();
    const open = await openPackageDirectory(folder);
    open.manifest.model.engine = 'tfjs';
    await expect(loadOnnxDetector(folder, open)).rejects.toMatchObject({ code: 'ENGINE_UNSUPPORTED' });
  });

  it('refuses more labels than the model has classes', async () => {
    const folder = await personPackage();
    await writeFile(join(folder, 'labels.txt'), 'person\ncar\n');
    await expect(load(folder)).rejects.toMatchObject({ code: 'MODEL_OUTPUT_MISMATCH' });
  });

  it('refuses bytes that changed after the package was opened', async () => {
    const folder = await personPackage();
    const open = await openPackageDirectory(folder);
    const bytes = await readFile(join(folder, 'model.onnx'));
    bytes[bytes.length >> 1] ^= 1;
    await writeFile(join(folder, 'model.onnx'), bytes);
    await expect(loadOnnxDetector(folder, open)).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
  });

  it('runs golden frames: what it found once it must find again', async () => {
    const { frame, content } = await decodePicture(await still(), model.input);
    const { detections } = await model.detect(frame, content);
    const wanted = (shift: number) =>
      JSON.stringify(detections.map(({ label, score, box }) => ({ label, score: score + shift, box })));
    const outcomes: [number, boolean][] = [
      [0, true],
      [0.01, true],
      [0.2, false],
    ];
    for (const [shift, ok] of outcomes) {
      const folder = await personPackage({ golden: wanted(shift) }, [
        ['default: 0.4', 'default: 0.3'],
        ['score: 0.05', 'score: 0.02'],
      ]);
      await writeFile(join(folder, 'golden/a.jpg'), await still());
      const open = await openPackageDirectory(folder);
      const loaded = await loadOnnxDetector(folder, open);
      const results = await runGoldenFrames(folder, open, loaded);
      await loaded.close();
      expect(results).toMatchObject([{ file: 'golden/a.jpg', verdict: { ok } }]);
    }
  });
});

describe('loadOnnxDetector, hostile models', () => {
  it.each([0, 1, 17, 4096])('refuses %i bytes that are no model', async (length) => {
    const junk = createHash('sha512').update('junk').digest();
    const bytes = Buffer.concat(new Array(64).fill(junk)).subarray(0, length);
    await expect(load(await folderOf(packageFiles(bytes)))).rejects.toMatchObject({ code: 'MODEL_LOAD_FAILED' });
  });
});
