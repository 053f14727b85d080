import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runGoldenFrames } from '../src/package/golden-test.js';
import { type OpenPackage, openPackageDirectory } from '../src/package/package.js';
import { decodePicture } from '../src/package/picture.js';
import { type Detection, intersectionOverUnion } from '../src/runtime/detection.js';
import type { LoadedModel } from '../src/runtime/detector.js';
import { loadModel } from '../src/runtime/load-model.js';

const zoo = fileURLToPath(new URL('../zoo/', import.meta.url));
const media = fileURLToPath(new URL('../media/', import.meta.url));
const DETECTORS = ['person-detector-fp32', 'person-detector-int8', 'person-detector-tfjs'];
const CLASSIFIERS = ['person-classifier-fp32', 'person-classifier-int8'];
const ALL = [...DETECTORS, ...CLASSIFIERS];
const packages = new Map<string, { directory: string; open: OpenPackage; model: LoadedModel }>();

beforeAll(async () => {
  for (const name of ALL) {
    const directory = join(zoo, name);
    const open = await openPackageDirectory(directory);
    packages.set(name, { directory, open, model: await loadModel(directory, open) });
  }
}, 60_000);
afterAll(async () => {
  for (const { model } of packages.values()) await model.close();
});

const shipped = (name: string) => packages.get(name)!;
const manifestOf = (name: string) => shipped(name).open.manifest;
/** The model and the weights beside it. */
const modelBytes = (name: string) =>
  shipped(name)
    .open.files.filter(({ path }) => /\.(onnx|json|bin)$/.test(path))
    .reduce((sum, { size }) => sum + size, 0);

async function detect(name: string, file: string): Promise<Detection[]> {
  const { open, model } = shipped(name);
  const picture = await decodePicture(await readFile(file), open.manifest.input);
  return (await model.detect(picture.frame, picture.content)).detections;
}

describe('the packages of the zoo', () => {
  it('are all in this test', async () => {
    const folders = (await readdir(zoo, { withFileTypes: true })).filter((entry) => entry.isDirectory());
    expect(folders.map(({ name }) => name).sort()).toEqual([...ALL].sort());
  });

  it.each([
    [DETECTORS, 'person-detector', ['fp32', 'int8', expect.stringMatching(/^fp(16|32)$/)]],
    [CLASSIFIERS, 'person-classifier', ['fp32', 'int8']],
  ])('%j are one network: same name, labels and thresholds, the next minor version each', (names, name, precisions) => {
    const manifests = names.map(manifestOf);
    const [major] = manifests[0].version.split('.');
    expect(manifests.map((manifest) => manifest.name)).toEqual(names.map(() => name));
    expect(manifests.map(({ version }) => version)).toEqual(names.map((_, index) => `${major}.${index}.0`));
    expect(manifests.map(({ model }) => model.precision)).toEqual(precisions);
    const [first] = manifests;
    for (const [index, manifest] of manifests.entries()) {
      expect(manifest).toMatchObject({ decoder: first.decoder, thresholds: first.thresholds, nms: first.nms });
      expect(shipped(names[index]).open.labels).toEqual(shipped(names[0]).open.labels);
    }
    expect(manifestOf(names[1]).input).toEqual({ ...first.input, dtype: 'uint8' });
  });

  it('in INT8 take at most 0.36 of FP32, in TensorFlow.js no more than FP32 and its graph', () => {
    expect(modelBytes(DETECTORS[1]) / modelBytes(DETECTORS[0])).toBeLessThanOrEqual(0.36);
    expect(modelBytes(CLASSIFIERS[1]) / modelBytes(CLASSIFIERS[0])).toBeLessThanOrEqual(0.36);
    expect(modelBytes(DETECTORS[2]) / modelBytes(DETECTORS[0])).toBeLessThan(1.05);
  });

  it.each(ALL)('%s credits its training data and states figures of this very model', async (name) => {
    const { open, directory } = shipped(name);
    expect(open.manifest.provenance?.trainingData).toContain('CC BY 4.0');
    expect(open.manifest.metrics?.length).toBeGreaterThan(0);
    const measured = JSON.parse(await readFile(join(zoo, 'measured.json'), 'utf8')).packages;
    const own = open.manifest.metrics?.filter(({ source }) => source === undefined);
    expect(own).toEqual(measured[open.manifest.model.sha256]);
    const licence = await readFile(join(directory, 'LICENSE.txt'), 'utf8');
    expect(licence).toContain('Human Dataset v2');
    expect(licence).toContain('Apache License');
    if (/yolox/i.test(JSON.stringify(open.manifest.provenance))) expect(licence).toContain('Megvii');
  });

  it.each(ALL)('%s finds in its golden frames what it must', async (name) => {
    const { directory, open, model } = shipped(name);
    const results = await runGoldenFrames(directory, open, model);
    expect(results.filter(({ verdict }) => !verdict.ok)).toEqual([]);
    // within the tolerance of the threshold a detection may be missing: then the frame would prove nothing
    const { default: threshold } = open.manifest.thresholds;
    for (const { detections, tolerance } of open.manifest.golden) {
      for (const { score } of detections) expect(score).toBeGreaterThan(threshold + tolerance.score);
    }
  });

  it.each(DETECTORS)('%s has golden frames by day and by night, with people and without', async (name) => {
    const { images } = JSON.parse(await readFile(join(media, 'stills', 'stills.boxes.json'), 'utf8'));
    const { golden } = manifestOf(name);
    const lights = golden.map(
      ({ file }) => images.find((image: { file: string }) => file.endsWith(image.file)).light as string,
    );
    expect(lights).toContain('day');
    expect(lights.some((light) => light.startsWith('night'))).toBe(true);
    expect(golden.some(({ detections }) => detections.length === 0)).toBe(true);
    expect(golden.filter(({ detections }) => detections.length > 0).length).toBeGreaterThanOrEqual(2);
  });
});

describe('the forms of the detector', () => {
  it.each([
    ['INT8 beside FP32', 'person-detector-int8', 0.05, 0.75],
    ['TensorFlow.js beside FP32', 'person-detector-tfjs', 0.01, 0.95],
  ])('%s: the same people in all stills', async (_, name, score, iou) => {
    const { default: threshold } = manifestOf(name).thresholds;
    let compared = 0;
    for (const file of (await readdir(join(media, 'stills'))).filter((entry) => entry.endsWith('.jpg'))) {
      const path = join(media, 'stills', file);
      const found = [await detect('person-detector-fp32', path), await detect(name, path)];
      for (const [mine, other] of [found, found.toReversed()]) {
        for (const detection of mine.filter((one) => one.score >= threshold + score)) {
          const same = other.find(({ box }) => intersectionOverUnion(box, detection.box) >= iou);
          expect(same, `${file}: ${JSON.stringify(detection)}`).toBeDefined();
          expect(Math.abs(same!.score - detection.score)).toBeLessThan(score);
          compared++;
        }
      }
    }
    expect(compared).toBeGreaterThan(20);
  });
});

describe('the classifier', () => {
  it.each(CLASSIFIERS)('%s is right on its golden frames, as many with a person as without', (name) => {
    const { golden } = manifestOf(name);
    const answers = golden.map(({ file, detections }) => [file.split('/')[1].split('_')[0], detections[0].label]);
    expect(answers.filter(([truth, answer]) => truth !== answer)).toEqual([]);
    expect(answers.filter(([truth]) => truth === 'person').length).toBe(answers.length / 2);
    expect(answers.length).toBeGreaterThanOrEqual(6);
  });

  it.each(CLASSIFIERS)('%s is right on most of the crops of our stills', async (name) => {
    let [right, all] = [0, 0];
    for (const label of ['no-person', 'person']) {
      const folder = join(media, 'crops', label);
      for (const file of await readdir(folder)) {
        const [best] = await detect(name, join(folder, file));
        right += Number(best.label === label);
        all++;
      }
    }
    expect(all).toBeGreaterThan(100);
    // 0.86 when it was made; guessing gives 0.5
    expect(right / all).toBeGreaterThan(0.8);
  });
});
