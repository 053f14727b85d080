import { Value } from '@sinclair/typebox/value';
import { BenchmarkResult } from '@vigie/protocol';
import { describe, expect, it } from 'vitest';
import { benchmarkDocument, pairingOf } from './benchmark-document.js';
import type { BoxDataset } from './dataset.js';
import type { EvaluationResult } from './report-markdown.js';

const head = {
  package: { name: 'm', version: '1.0.0', precision: 'int8', engine: 'onnx', digest: 'd'.repeat(64), runtime: 'ort' },
  dataset: { path: 'set', format: 'coco', pictures: 3, objects: 4, notes: [] },
  settings: { iou: 0.5, nmsIou: 0.6 },
  classes: { matched: [], unmatchedCategories: [], unmatchedLabels: [], notes: [] },
  timing: {} as EvaluationResult['timing'],
};
const summary = (ap: number) => ({
  ...{ ap, ap50: ap + 0.1, ap75: ap, apSmall: -1, apMedium: ap, apLarge: ap },
  ...{ ar1: 0.1, ar10: 0.2, ar100: 0.3, arSmall: -1, arMedium: 0.3, arLarge: 0.3 },
});
const at = {
  threshold: 0.4,
  precision: 0.9,
  recall: 0.5,
  f1: 0.1 + 0.2,
  truePositives: 1,
  falsePositives: 1,
  falseNegatives: 1,
};
const category = (name: string, truths: number) => ({
  ...{ name, truths, labels: [name], detections: 9, summary: summary(0.4), atPackageThreshold: at },
});
const detector = (names: [name: string, truths: number][]): EvaluationResult => ({
  ...{ ...head, kind: 'detection', summary: summary(0.5), thresholds: [] },
  categories: names.map(([name, truths]) => category(name, truths)),
});
const settings = {
  ...{ benchmark: 'evaluate', at: new Date('2026-11-21T07:00:00Z'), pairing: 'dataset-x' },
  platform: { arch: 'x64', cpu: 'c', cores: 4, node: '20', runtime: 'ort', emulated: false },
};

describe('benchmarkDocument', () => {
  it('holds the figures of a detector, all together and by class, without times', () => {
    const document = benchmarkDocument(detector([['person', 4]]), settings);
    expect(Value.Errors(BenchmarkResult, document).First()).toBeUndefined();
    expect(document).toMatchObject({
      ...{ benchmark: 'evaluate', at: '2026-11-21T07:00:00.000Z', samples: 3, pairing: 'dataset-x' },
      release: { name: 'm', version: '1.0.0', digest: head.package.digest },
    });
    expect(document.metrics).toEqual({
      ...{ ap: 0.5, ap50: 0.6, ap75: 0.5, apSmall: -1, apMedium: 0.5, apLarge: 0.5, ar1: 0.1, ar10: 0.2, ar100: 0.3 },
      ...{ 'ap.person': 0.4, 'ap50.person': 0.5, 'precision.person': 0.9, 'recall.person': 0.5, 'f1.person': 0.3 },
    });
  });

  it('keeps to what the server takes: 256 metrics, the classes with most objects, names that a metric can hold', () => {
    const names = Array.from({ length: 80 }, (_, index): [string, number] => [`class ${index}`, index]);
    const document = benchmarkDocument(
      detector([...names, ['naïve', 999], ['x'.repeat(60), 999], ['a.b', 999]]),
      settings,
    );
    expect(Value.Errors(BenchmarkResult, document).First()).toBeUndefined();
    const metrics = Object.keys(document.metrics);
    expect(metrics).toHaveLength(256);
    expect(metrics).toContain('ap.class 79');
    expect(metrics.filter((name) => /naïve|xxx|a\.b|class 1$/.test(name))).toEqual([]);
  });

  it('holds the figures of a classifier', () => {
    const figures = { support: 3, predicted: 3, precision: 0.7, recall: 0.6, f1: 0.5 };
    const result: EvaluationResult = {
      ...{ ...head, kind: 'classification', pictures: 3, top1: 2 / 3, topK: { k: 5, accuracy: 1 }, confusion: [] },
      ...{ perClass: [figures], macro: figures, classNames: ['cat'] },
    };
    expect(benchmarkDocument(result, settings).metrics).toEqual({
      ...{ accuracy: 0.666667, 'accuracy.top5': 1, precision: 0.7, recall: 0.6, f1: 0.5 },
      ...{ 'precision.cat': 0.7, 'recall.cat': 0.6, 'f1.cat': 0.5 },
    });
  });
});

describe('pairingOf', () => {
  const picture = (file: string) => ({ id: 1, file, width: 10, height: 10, truths: [] });
  const dataset = (file: string): BoxDataset => ({
    ...{ kind: 'boxes', format: 'coco', categories: ['person'], categoryIds: [1], notes: [] },
    pictures: [picture(file)],
  });
  const of = (file: string, changes: Record<string, number> = {}) =>
    pairingOf(dataset(file), { settings: { ...head.settings, ...changes }, classes: head.classes });

  it('is one for the same set in another folder and another model, and another for other pictures or another measure', () => {
    expect(of('a/1.jpg')).toMatch(/^dataset-[0-9a-f]{32}$/);
    expect(of('b/1.jpg', { nmsIou: 0.3 })).toBe(of('a/1.jpg'));
    expect(of('a/2.jpg')).not.toBe(of('a/1.jpg'));
    expect(of('a/1.jpg', { iou: 0.7 })).not.toBe(of('a/1.jpg'));
  });
});
