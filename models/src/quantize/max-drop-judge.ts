import { performance } from 'node:perf_hooks';
import { matchClasses, some } from '../evaluate/class-map.js';
import { evaluateCoco } from '../evaluate/coco-ap.js';
import type { CocoDetection } from '../evaluate/coco-match.js';
import type { BoxDataset, ClassDataset } from '../evaluate/dataset.js';
import { pixelDetections } from '../evaluate/detector-result.js';
import { runPicture } from '../evaluate/run-pictures.js';
import { thresholdOf } from '../package/labels.js';
import type { Manifest } from '../package/manifest.js';
import type { Detection } from '../runtime/detection.js';
import { makeDetector } from '../runtime/detector.js';
import { openOnnxEngine } from '../runtime/onnx-session-engine.js';
import { QuantizeError } from './quantize-error.js';

/** An ONNX model under judgement and what it takes. */
export interface JudgedModel {
  bytes: Uint8Array;
  inputType: 'uint8' | 'float32';
}

/** Says how good a model is. The same model gets the same score. */
export interface Judge {
  /** E.g. `AP50 on 300 pictures of DATASET`. */
  metric: string;
  /** 0..1, higher is better. */
  score(model: JudgedModel, onPicture?: (done: number, total: number) => void): Promise<number>;
}

/** The manifest beside the float model: how its outputs are read. */
export interface Reading {
  manifest: Manifest;
  labels: string[];
}

/** Average precision wants the weak detections too. */
const FLOOR = 0.01;
const MOST_DETECTIONS = 100;
/** Boxes 0..1 become pixels of this square where the picture's own size does not matter. */
const UNIT_PIXELS = 1000;

/** Judges by labels: AP at IoU 0.5 of a detector, share of right answers of a classifier. Throws DATASET_UNSUITABLE. */
export function judgeByLabels(reading: Reading, dataset: BoxDataset | ClassDataset, path: string): Judge {
  const { labels, manifest } = reading;
  const map = matchClasses(labels, dataset.categories);
  if (map.matchedCategories.length === 0 || (dataset.kind === 'classes') !== (manifest.task === 'classify')) {
    throw new QuantizeError(
      'DATASET_UNSUITABLE',
      `--data ${path}: a ${manifest.task === 'classify' ? 'classifier' : 'detector'} with labels ${some(labels)} cannot be ` +
        `judged on ${dataset.kind === 'classes' ? 'folders' : 'boxes'} of ${some(dataset.categories)}`,
    );
  }
  const files = dataset.pictures.map(({ file }) => file);
  const score: Judge['score'] = async (model, onPicture) => {
    const found = await detectAll(reading, model, files, onPicture);
    if (dataset.kind === 'classes') {
      const right = dataset.pictures.filter(
        ({ category }, i) => map.categoryOf[found[i][0]?.classId ?? -1] === category,
      );
      return right.length / dataset.pictures.length;
    }
    const place = new Map(map.matchedCategories.map((category, index) => [category, index]));
    const matched = <T extends { category: number }>(entries: readonly T[]): T[] =>
      entries.flatMap((e) => (place.has(e.category) ? [{ ...e, category: place.get(e.category)! }] : []));
    const pictures = dataset.pictures.map((picture, i) => ({
      truths: matched(picture.truths),
      detections: matched(pixelDetections(found[i], map.categoryOf, picture)),
    }));
    return Math.max(0, evaluateCoco(pictures, map.matchedCategories.length).summary.ap50);
  };
  const what = dataset.kind === 'classes' ? 'accuracy' : 'AP50';
  return { metric: `${what} on ${files.length} pictures of ${path}`, score };
}

/**
 * Judges without labels, by agreement with the float model: what that finds at its thresholds is taken for the truth, and
 * a model's score is its AP50 against it (the float model itself has 1). A classifier's: share of the same answers.
 * Throws DATASET_UNSUITABLE when the float model finds nothing at all.
 */
export async function judgeByAgreement(
  reading: Reading,
  float: JudgedModel,
  files: readonly string[],
  what: string,
  onPicture?: (done: number, total: number) => void,
): Promise<Judge> {
  const { manifest, labels } = reading;
  const wanted = await detectAll(reading, float, files, onPicture);
  const classify = manifest.task === 'classify';
  const categoryOf = labels.map((_, id) => id);
  const inPixels = (detections: readonly Detection[]): CocoDetection[] =>
    pixelDetections(detections, categoryOf, { width: UNIT_PIXELS, height: UNIT_PIXELS });
  const truths = wanted.map((detections) =>
    inPixels(detections.filter((d) => d.score >= thresholdOf(manifest, d.label))).map(({ category, box }) => ({
      category,
      box,
      area: box[2] * box[3],
    })),
  );
  if (!classify && truths.every((list) => list.length === 0)) {
    throw new QuantizeError(
      'DATASET_UNSUITABLE',
      `the float model finds nothing in ${what}, so nothing can be compared; give pictures with objects, or labels by --data`,
    );
  }
  const score: Judge['score'] = async (model, tick) => {
    const found = await detectAll(reading, model, files, tick);
    if (classify) return found.filter((d, i) => d[0]?.classId === wanted[i][0]?.classId).length / files.length;
    const pictures = found.map((detections, i) => ({ truths: truths[i], detections: inPixels(detections) }));
    return Math.max(0, evaluateCoco(pictures, labels.length).summary.ap50);
  };
  const metric = classify ? 'same answer as the float model' : 'AP50 against the float model’s detections';
  return { metric: `${metric} on ${files.length} ${what}`, score };
}

/** What a model finds in each picture, weak detections too, best first. */
export async function detectAll(
  { manifest, labels }: Reading,
  model: JudgedModel,
  files: readonly string[],
  onPicture?: (done: number, total: number) => void,
): Promise<Detection[][]> {
  const { mean, std, ...input } = manifest.input;
  const nms = { ...manifest.nms, maxDetections: Math.max(manifest.nms.maxDetections, MOST_DETECTIONS) };
  const scaling = model.inputType === 'uint8' ? {} : { mean, std };
  const judged: Manifest = { ...manifest, nms, input: { ...input, ...scaling, dtype: model.inputType } };
  const engine = await openOnnxEngine(model.bytes, manifest.model.file, { threads: 0 });
  const classify = manifest.task === 'classify';
  const detector = await makeDetector({ manifest: judged, labels }, engine, {
    threshold: classify ? 0 : FLOOR,
    now: () => performance.now(),
  });
  const found: Detection[][] = [];
  try {
    for (const file of files) {
      found.push((await runPicture(detector, file)).detections);
      onPicture?.(found.length, files.length);
    }
  } finally {
    await detector.close();
  }
  return found;
}
