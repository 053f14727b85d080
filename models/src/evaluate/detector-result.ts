import type { Detection } from '../runtime/detection.js';
import type { ClassMap } from './class-map.js';
import type { ScoreCurve } from './coco-accumulate.js';
import { type CocoSummary, evaluateCoco } from './coco-ap.js';
import type { CocoDetection } from './coco-match.js';
import type { BoxDataset } from './dataset.js';
import { bestF1, mergeCurves, type OperatingPoint, operatingPoint } from './pr-curve.js';

export interface DetectorSettings {
  /** Detections that count per picture and class. */
  maxDetections: number;
  /** Overlap from which a detection is right, for precision and recall at a threshold. */
  iou: number;
  /** The package's own threshold per label, 0..1. */
  thresholds: readonly number[];
}

export interface DetectorCategory {
  name: string;
  /** Labels of the model that stand for it. */
  labels: string[];
  truths: number;
  detections: number;
  summary: CocoSummary;
  bestF1?: OperatingPoint;
  /** At the package's own threshold for it; the lowest when several labels stand for it. */
  atPackageThreshold: OperatingPoint;
}

/** What a detector is worth on a data set. */
export interface DetectorResult {
  summary: CocoSummary;
  categories: DetectorCategory[];
  /** All classes together at one threshold: 0.05, 0.1, ... 0.95. */
  thresholds: OperatingPoint[];
  bestF1?: OperatingPoint;
}

/** The detections of one picture in pixels of the data set's frame; those of unmatched labels are left out. */
export function pixelDetections(
  detections: readonly Detection[],
  categoryOf: readonly number[],
  size: { width: number; height: number },
): CocoDetection[] {
  return detections.flatMap(({ classId, score, box: [x1, y1, x2, y2] }) => {
    const category = categoryOf[classId] ?? -1;
    if (category < 0) return [];
    const [x, y] = [x1 * size.width, y1 * size.height];
    return [{ category, score, box: [x, y, x2 * size.width - x, y2 * size.height - y] as const }];
  });
}

/** Judges what was found (`found[picture]`, categories by index of the data set) over the matched categories. */
export function judgeDetector(
  dataset: BoxDataset,
  found: readonly (readonly CocoDetection[])[],
  map: ClassMap,
  labels: readonly string[],
  settings: DetectorSettings,
): { result: DetectorResult; curves: ScoreCurve[]; together: ScoreCurve } {
  const place = new Map(map.matchedCategories.map((category, index) => [category, index]));
  const matched = <T extends { category: number }>(entries: readonly T[]): T[] =>
    entries.flatMap((entry) => {
      const category = place.get(entry.category);
      return category === undefined ? [] : [{ ...entry, category }];
    });
  const evaluation = evaluateCoco(
    dataset.pictures.map(({ truths }, index) => ({ truths: matched(truths), detections: matched(found[index]) })),
    map.matchedCategories.length,
    {
      maxDetections: [1, Math.min(10, settings.maxDetections), settings.maxDetections],
      curveIou: settings.iou,
    },
  );
  const categories = evaluation.categories.map(({ summary, truths, detections, curve }, index): DetectorCategory => {
    const category = map.matchedCategories[index];
    const ids = map.categoryOf.flatMap((of, id) => (of === category ? [id] : []));
    return {
      name: dataset.categories[category],
      labels: ids.map((id) => labels[id]),
      truths,
      detections,
      summary,
      bestF1: bestF1(curve),
      atPackageThreshold: operatingPoint(curve, Math.min(...ids.map((id) => settings.thresholds[id]))),
    };
  });
  const curves = evaluation.categories.map(({ curve }) => curve);
  const together = mergeCurves(curves);
  return {
    result: {
      summary: evaluation.summary,
      categories,
      thresholds: Array.from({ length: 19 }, (_, index) => operatingPoint(together, (index + 1) / 20)),
      bestF1: bestF1(together),
    },
    curves,
    together,
  };
}
