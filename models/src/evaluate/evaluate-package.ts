import { cpus } from 'node:os';
import { basename, resolve } from 'node:path';
import { performance } from 'node:perf_hooks';
import { thresholdOf } from '../package/labels.js';
import type { OpenPackage } from '../package/package.js';
import type { LoadedModel } from '../runtime/detector.js';
import { loadModel } from '../runtime/load-model.js';
import { type ClassMap, matchClasses, some } from './class-map.js';
import { type ClassifiedPicture, classificationMetrics } from './classification.js';
import type { CocoDetection } from './coco-match.js';
import type { BoxDataset, ClassDataset, Dataset } from './dataset.js';
import { DatasetError } from './dataset-error.js';
import { judgeDetector, pixelDetections } from './detector-result.js';
import type { EvaluationHead, EvaluationResult } from './report-markdown.js';
import { openedForEvaluation, type PictureOutcome, runPicture, spread } from './run-pictures.js';
import { detectorChart } from './write-result.js';

export interface EvaluateSettings {
  /** Lowest score that is asked of a detector, 0..1; average precision wants the weak ones too. */
  thresholdFloor: number;
  /** Detections that count per picture and class. */
  maxDetections: number;
  /** Overlap from which a detection is right, for precision and recall at a threshold. */
  iou: number;
  /** Replaces the manifest's overlap for suppression. */
  nmsIou?: number;
  topK: number;
  threads: number;
  /** Label of the model to category of the data set, where their names differ. */
  classMap: ReadonlyMap<string, string>;
  onPicture?: (done: number, total: number) => void;
}

export interface Evaluation {
  result: EvaluationResult;
  /** The chart, for detectors. */
  svg?: string;
  /** Per picture, for detectors; categories by index of the data set, boxes in pixels. */
  found?: CocoDetection[][];
}

/**
 * Runs a checked package over a data set and judges it. Throws DatasetError (TASK_MISMATCH, CLASSES_UNMATCHED,
 * PICTURE_*) and what `load` throws.
 */
export async function evaluatePackage(
  directory: string,
  open: OpenPackage,
  dataset: Dataset,
  path: string,
  settings: EvaluateSettings,
  load: typeof loadModel = loadModel,
): Promise<Evaluation> {
  const { task } = open.manifest;
  const wanted = task === 'classify' ? 'classes' : 'boxes';
  if (dataset.kind !== wanted) {
    throw new DatasetError(
      'TASK_MISMATCH',
      task === 'classify'
        ? `${path} (${dataset.format}) holds boxes, the package is a classifier; give it a folder per class`
        : `${path} (${dataset.format}) holds a folder per class, the package is a detector; give it COCO, YOLO or VOC boxes`,
    );
  }
  const map = matched(open.labels, dataset, settings.classMap);
  const model = await load(directory, openedForEvaluation(open, settings.maxDetections, settings.nmsIou), {
    threshold: task === 'classify' ? 0 : settings.thresholdFloor,
    threads: settings.threads,
  });
  try {
    const head = { open, path, map, settings };
    return dataset.kind === 'boxes'
      ? await evaluateDetector(model, dataset, head)
      : await evaluateClassifier(model, dataset, head);
  } finally {
    await model.close();
  }
}

interface Head {
  open: OpenPackage;
  path: string;
  map: ClassMap;
  settings: EvaluateSettings;
}

async function evaluateDetector(model: LoadedModel, dataset: BoxDataset, head: Head): Promise<Evaluation> {
  const { open, path, map, settings } = head;
  const { labels, manifest } = open;
  const found: CocoDetection[][] = [];
  let otherSize = 0;
  const run = await runAll(model, dataset.pictures, settings, ({ detections, width, height }, index) => {
    const picture = dataset.pictures[index];
    if (picture.width !== width || picture.height !== height) otherSize++;
    found.push(pixelDetections(detections, map.categoryOf, picture));
  });
  if (otherSize > 0) {
    dataset.notes.push(
      `${otherSize} pictures have another size than the annotations say (turned by EXIF, or scaled): boxes were scaled to the annotations`,
    );
  }
  const thresholds = labels.map((label) => thresholdOf(manifest, label));
  const judged = judgeDetector(dataset, found, map, labels, { ...settings, thresholds });
  const objects = dataset.pictures.reduce((sum, { truths }) => sum + truths.length, 0);
  const common = describe(model, dataset, head, objects, run, {
    thresholdFloor: settings.thresholdFloor,
    maxDetections: settings.maxDetections,
    iou: settings.iou,
    nmsIou: settings.nmsIou ?? manifest.nms.iou,
  });
  const { name, version, model: of } = manifest;
  const title = `${name} ${version} (${of.precision})`;
  const subtitle = `${basename(resolve(path))}: ${dataset.pictures.length} pictures, ${objects} objects, IoU ${settings.iou}; circle: best F1`;
  return {
    result: { kind: 'detection', ...common, ...judged.result },
    svg: detectorChart(judged.result, judged.curves, judged.together, title, subtitle, settings.iou),
    found,
  };
}

async function evaluateClassifier(model: LoadedModel, dataset: ClassDataset, head: Head): Promise<Evaluation> {
  const { map, settings } = head;
  const place = new Map(map.matchedCategories.map((category, index) => [category, index]));
  const pictures = dataset.pictures.filter(({ category }) => place.has(category));
  const judged: ClassifiedPicture[] = [];
  const run = await runAll(model, pictures, settings, ({ detections }, index) => {
    const best = [...detections].sort((a, b) => b.score - a.score);
    const ranked = best.map(({ classId }) => place.get(map.categoryOf[classId]) ?? -1);
    judged.push({ truth: place.get(pictures[index].category)!, ranked });
  });
  return {
    result: {
      kind: 'classification',
      ...describe(model, dataset, head, pictures.length, run, { topK: settings.topK }),
      ...classificationMetrics(judged, map.matchedCategories.length, settings.topK),
      classNames: map.matchedCategories.map((category) => dataset.categories[category]),
    },
  };
}

/** Times of a run: the model and the whole detection, ms per picture. */
interface Run {
  modelMs: number[];
  detectMs: number[];
  seconds: number;
}

async function runAll(
  model: LoadedModel,
  pictures: readonly { file: string }[],
  settings: EvaluateSettings,
  take: (outcome: PictureOutcome, index: number) => void,
): Promise<Run> {
  const start = performance.now();
  const run: Run = { modelMs: [], detectMs: [], seconds: 0 };
  for (const [index, { file }] of pictures.entries()) {
    const outcome = await runPicture(model, file);
    run.modelMs.push(outcome.modelMs);
    run.detectMs.push(outcome.detectMs);
    take(outcome, index);
    settings.onPicture?.(index + 1, pictures.length);
  }
  run.seconds = (performance.now() - start) / 1000;
  return run;
}

function matched(labels: readonly string[], dataset: Dataset, given: ReadonlyMap<string, string>): ClassMap {
  let map: ClassMap;
  try {
    map = matchClasses(labels, dataset.categories, given);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new DatasetError('CLASSES_UNMATCHED', `--class-map: ${error.message}`, { cause: error });
  }
  if (map.matchedCategories.length > 0) return map;
  throw new DatasetError(
    'CLASSES_UNMATCHED',
    `no label of the model (${some(labels)}) is a category of the data set (${some(dataset.categories)}); ` +
      'say which is which with --class-map LABEL=CATEGORY',
  );
}

function describe(
  model: LoadedModel,
  dataset: Dataset,
  { open, path, map, settings }: Head,
  objects: number,
  run: Run,
  shown: Record<string, number>,
): EvaluationHead {
  const { name, version, model: of } = open.manifest;
  return {
    package: { name, version, precision: of.precision, engine: of.engine, digest: open.digest, runtime: model.runtime },
    dataset: { path, format: dataset.format, pictures: run.modelMs.length, objects, notes: dataset.notes },
    settings: shown,
    classes: {
      matched: map.matchedCategories.map((category) => ({
        category: dataset.categories[category],
        labels: open.labels.filter((_, id) => map.categoryOf[id] === category),
      })),
      unmatchedCategories: map.unmatchedCategories,
      unmatchedLabels: map.unmatchedLabels,
      notes: map.loose.map(({ label, category }) => `label "${label}" was taken for category "${category}"`),
    },
    timing: {
      modelMs: spread(run.modelMs),
      detectMs: spread(run.detectMs),
      seconds: run.seconds,
      threads: settings.threads,
      cpu: cpus()[0]?.model ?? 'unknown processor',
    },
  };
}
