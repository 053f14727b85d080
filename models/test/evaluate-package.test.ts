import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { evaluatePackage } from '../src/evaluate/evaluate-package.js';
import { openDataset } from '../src/evaluate/open-dataset.js';
import { reportMarkdown } from '../src/evaluate/report-markdown.js';
import { writeResult } from '../src/evaluate/write-result.js';
import { evaluateCommand } from '../src/evaluate-command.js';
import { type OpenPackage, openPackageDirectory } from '../src/package/package.js';
import type { LoadedModel } from '../src/runtime/detector.js';

const zoo = fileURLToPath(new URL('../zoo/person-detector-int8', import.meta.url));
const settings = {
  thresholdFloor: 0.001,
  maxDetections: 100,
  iou: 0.5,
  topK: 2,
  threads: 1,
  classMap: new Map<string, string>(),
};

let root = '';
let open: OpenPackage;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'vigie-evaluate-'));
  open = await openPackageDirectory(zoo);
  // The package's golden frames with their own detections as the truth, and a tree that the model does not know.
  await mkdir(join(root, 'boxes', 'images'), { recursive: true });
  const images: object[] = [];
  const annotations: object[] = [];
  for (const [index, { file, detections }] of open.manifest.golden.entries()) {
    const bytes = await readFile(join(zoo, file));
    const { width, height } = await sharp(bytes).metadata();
    await writeFile(join(root, 'boxes', 'images', `${index}.jpg`), bytes);
    images.push({ id: index, file_name: `${index}.jpg`, width, height });
    for (const { box } of detections) {
      const [x1, y1, x2, y2] = [box[0] * width, box[1] * height, box[2] * width, box[3] * height];
      const bbox = [x1, y1, x2 - x1, y2 - y1];
      annotations.push({ id: annotations.length + 1, image_id: index, category_id: 1, bbox, area: bbox[2] * bbox[3] });
    }
  }
  annotations.push({ id: 99, image_id: 0, category_id: 2, bbox: [0, 0, 10, 10], area: 100 });
  const categories = [
    { id: 1, name: 'Person' },
    { id: 2, name: 'tree' },
  ];
  await writeFile(join(root, 'boxes', 'coco.json'), JSON.stringify({ images, annotations, categories }));
  for (const name of ['cat', 'dog']) {
    await mkdir(join(root, 'classes', name), { recursive: true });
    const grey = sharp({ create: { width: 32, height: 32, channels: 3, background: '#777' } });
    for (const file of ['1.png', '2.png']) await grey.png().toFile(join(root, 'classes', name, file));
  }
});
afterAll(() => rm(root, { recursive: true, force: true }));

/** A package whose model says what `answers` hold, one call after the other. */
function fake(labels: string[], answers: [label: string, score: number][][]) {
  const manifest = { ...open.manifest, task: 'classify' as const };
  let call = 0;
  const model: LoadedModel = {
    input: manifest.input,
    labels,
    runtime: 'none',
    detect: async () => ({
      detections: answers[call++].map(([label, score]) => ({
        classId: labels.indexOf(label),
        label,
        score,
        box: [0, 0, 1, 1] as const,
      })),
      stagesMs: { preprocess: 1, inference: 2, decode: 3 },
    }),
    close: async () => {},
  };
  return { open: { ...open, labels, manifest }, load: async () => model };
}

describe('evaluatePackage', () => {
  it('runs a detector, with weak detections too, and finds what the golden frames hold', async () => {
    const path = join(root, 'boxes');
    const seen: number[] = [];
    const { result, svg, found } = await evaluatePackage(zoo, open, await openDataset(path), path, {
      ...settings,
      onPicture: (done, total) => seen.push(done / total),
    });
    if (result.kind !== 'detection') throw new Error('expected a detector');
    expect(result.categories).toHaveLength(1);
    expect(result.categories[0]).toMatchObject({ name: 'Person', labels: ['person'] });
    expect(result.summary.ap50).toBeCloseTo(1, 9);
    expect(result.categories[0].atPackageThreshold).toMatchObject({
      threshold: open.manifest.thresholds.default,
      recall: 1,
      precision: 1,
    });
    expect(result.categories[0].detections).toBeGreaterThan(50);
    expect(result.classes).toMatchObject({ unmatchedCategories: ['tree'], unmatchedLabels: [] });
    expect(result.classes.notes).toEqual(['label "person" was taken for category "Person"']);
    expect(result.timing.modelMs.p95).toBeGreaterThanOrEqual(result.timing.modelMs.p50);
    expect(seen.at(-1)).toBe(1);
    expect(found?.flat().every(({ box }) => box[2] > 0 && box[3] > 0)).toBe(true);

    const files = await writeResult(join(root, 'out'), result, svg);
    expect(files.map((file) => file.slice(root.length))).toEqual([
      '/out/result.json',
      '/out/report.md',
      '/out/pr.svg',
      '/out/pr.png',
    ]);
    expect(JSON.parse(await readFile(files[0], 'utf8'))).toMatchObject({ kind: 'detection', summary: result.summary });
    expect(await sharp(files[3]).metadata()).toMatchObject({ width: 800, height: 600 });
    expect(reportMarkdown(result)).toContain('**not evaluated**, for the model has no such label: tree');
  });

  it('ranks a classifier; what it takes for something else is wrong', async () => {
    const path = join(root, 'classes');
    const dataset = await openDataset(path);
    // Pictures come by turns: cat, dog, cat, dog. `wolf` is a label that the data set does not know.
    const { open: classifier, load } = fake(
      ['dog', 'wolf', 'tabby'],
      [
        [['tabby', 0.9]],
        [['dog', 0.5]],
        [
          ['dog', 0.6],
          ['tabby', 0.4],
        ],
        [
          ['wolf', 0.9],
          ['tabby', 0.05],
          ['dog', 0.01],
        ],
      ],
    );
    const mapped = { ...settings, classMap: new Map([['tabby', 'cat']]) };
    const { result } = await evaluatePackage('', classifier, dataset, path, mapped, load);
    expect(result).toMatchObject({
      kind: 'classification',
      classNames: ['cat', 'dog'],
      top1: 0.5,
      topK: { k: 2, accuracy: 0.75 },
      confusion: [
        [1, 1, 0],
        [0, 1, 1],
      ],
      timing: { modelMs: { p50: 2, p95: 2, mean: 2 } },
    });
    expect(reportMarkdown(result)).toContain('| **dog** | 0 | 1 | 1 |');
  });

  it('refuses a package that does another thing, or knows none of the classes', async () => {
    const [boxes, classes] = [await openDataset(join(root, 'boxes')), await openDataset(join(root, 'classes'))];
    const { open: classifier, load } = fake(['wolf'], []);
    await expect(evaluatePackage(zoo, open, classes, '', settings)).rejects.toMatchObject({ code: 'TASK_MISMATCH' });
    await expect(evaluatePackage('', classifier, boxes, '', settings, load)).rejects.toMatchObject({
      code: 'TASK_MISMATCH',
    });
    await expect(evaluatePackage('', classifier, classes, '', settings, load)).rejects.toMatchObject({
      code: 'CLASSES_UNMATCHED',
    });
    const classMap = new Map([['person', 'bush']]);
    await expect(evaluatePackage(zoo, open, boxes, '', { ...settings, classMap })).rejects.toMatchObject({
      code: 'CLASSES_UNMATCHED',
    });
  });

  it('names a picture that is broken', async () => {
    const dataset = await openDataset(join(root, 'classes'));
    await writeFile(join(root, 'classes', 'dog', '2.png'), 'no picture');
    const { open: classifier, load } = fake(['cat', 'dog'], [[], [], [], []]);
    await expect(evaluatePackage('', classifier, dataset, '', settings, load)).rejects.toMatchObject({
      code: 'PICTURE_INVALID',
      message: expect.stringContaining('2.png'),
    });
  });
});

describe('vigie-models evaluate', () => {
  it.each([
    [['p']],
    [['p', '--dataset', 'd', '--iou', '0']],
    [['p', '--dataset', 'd', '--threshold-floor', '2']],
    [['p', '--dataset', 'd', '--limit', '0']],
    [['p', '--dataset', 'd', '--class-map', 'a']],
    [['p', '--dataset', 'd', '--format', 'csv']],
    [['p', '--dataset', 'd', '--save-detections']],
  ])('refuses %j as bad usage', async (args) => {
    const command = evaluateCommand()
      .exitOverride()
      .configureOutput({ writeErr: () => {} });
    await expect(command.parseAsync(args, { from: 'user' })).rejects.toMatchObject({
      exitCode: 1,
      name: 'CommanderError',
    });
  });
});
