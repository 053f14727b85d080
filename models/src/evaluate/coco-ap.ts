import { interpolatePrecision, rankDetections, type ScoreCurve, scoreCurve } from './coco-accumulate.js';
import { type AreaRange, type CocoCell, type CocoDetection, type CocoTruth, matchCell } from './coco-match.js';

/** One picture: what stands in it and what was found. Pictures go in the order of their ids, as pycocotools sorts them. */
export interface CocoPicture {
  truths: readonly CocoTruth[];
  detections: readonly CocoDetection[];
}

/** The twelve figures of `COCOeval.summarize`, in its order, 0..1; -1 where there was nothing to find. */
export const COCO_SUMMARY_KEYS = [
  'ap',
  'ap50',
  'ap75',
  'apSmall',
  'apMedium',
  'apLarge',
  'ar1',
  'ar10',
  'ar100',
  'arSmall',
  'arMedium',
  'arLarge',
] as const;
export type CocoSummary = Record<(typeof COCO_SUMMARY_KEYS)[number], number>;

export interface CocoSettings {
  /** Detections that count per picture and category: for `ar1`, for `ar10`, and for all else; [1, 10, 100] when absent. */
  maxDetections?: readonly [number, number, number];
  /** IoU from which a detection is right in `curves`; 0.5 when absent. */
  curveIou?: number;
}

export interface CocoEvaluation {
  summary: CocoSummary;
  /** By category index. `summary` is over this category alone. */
  categories: { summary: CocoSummary; truths: number; detections: number; curve: ScoreCurve }[];
}

/** `linspace` as numpy computes it, last bit included: the thresholds decide ties. */
export function linspace(start: number, stop: number, count: number): Float64Array {
  const step = (stop - start) / (count - 1);
  return Float64Array.from({ length: count }, (_, index) => (index === count - 1 ? stop : index * step + start));
}

const IOU_THRESHOLDS = [...linspace(0.5, 0.95, 10)];
const RECALL_LEVELS = linspace(0, 1, 101);
/** All, small, medium, large, in square pixels. */
const AREA_RANGES: readonly AreaRange[] = [
  [0, 1e5 ** 2],
  [0, 32 ** 2],
  [32 ** 2, 96 ** 2],
  [96 ** 2, 1e5 ** 2],
];

/** Tables of one category: precision [area][IoU threshold][recall level] and recall [detection limit][area][threshold]. */
interface CategoryTables {
  precision: Float64Array[][];
  recall: number[][][];
}

/**
 * Average precision and recall over boxes, exactly as pycocotools counts them (`COCOeval`, iouType 'bbox'): COCO's IoU
 * thresholds .5:.05:.95, 101 recall levels, area ranges by annotated area (detections by box), crowds. An object whose
 * id is 0 can be found but never counts as found, as there. A category without objects is left out of every mean.
 * Throws RangeError on a category out of 0..categories-1, a score or box that is no finite number, or bad settings.
 */
export function evaluateCoco(
  pictures: readonly CocoPicture[],
  categories: number,
  settings: CocoSettings = {},
): CocoEvaluation {
  const { maxDetections = [1, 10, 100], curveIou = 0.5 } = settings;
  const limits = [...maxDetections].sort((a, b) => a - b);
  if (!(limits[0] >= 1)) throw new RangeError(`maxDetections [${maxDetections.join(', ')}]: give numbers from 1`);
  if (!(curveIou > 0 && curveIou <= 1)) throw new RangeError(`curveIou ${curveIou}: give a number above 0, up to 1`);
  const known = IOU_THRESHOLDS.findIndex((threshold) => Math.abs(threshold - curveIou) < 1e-9);
  const thresholds = known >= 0 ? IOU_THRESHOLDS : [...IOU_THRESHOLDS, curveIou];

  const tables: CategoryTables[] = [];
  const results: CocoEvaluation['categories'] = [];
  for (const cells of cellsByCategory(pictures, categories)) {
    const matches = cells.map((cell) => matchCell(cell, thresholds, AREA_RANGES, limits[limits.length - 1]));
    const ranked = rankDetections(matches, AREA_RANGES.length);
    const table = tabulate(ranked, limits);
    tables.push(table);
    results.push({
      summary: summarize([table]),
      truths: ranked.positives[0],
      detections: ranked.scores.length,
      curve: scoreCurve(ranked, known >= 0 ? known : IOU_THRESHOLDS.length),
    });
  }
  return { summary: summarize(tables), categories: results };
}

/** Objects and detections by category, then by picture; only what is not empty. */
function cellsByCategory(pictures: readonly CocoPicture[], categories: number): CocoCell[][] {
  const cells = Array.from({ length: categories }, (): CocoCell[] => []);
  for (const [index, { truths, detections }] of pictures.entries()) {
    const ofPicture = new Map<number, CocoCell>();
    const cellOf = (category: number, what: string): CocoCell => {
      let cell = ofPicture.get(category);
      if (cell === undefined) {
        if (cells[category] === undefined) {
          throw new RangeError(`picture ${index}: ${what} of category ${category}, there are ${categories}`);
        }
        cell = { truths: [], detections: [] };
        ofPicture.set(category, cell);
        cells[category].push(cell);
      }
      return cell;
    };
    for (const truth of truths) {
      if (!Number.isFinite(truth.area) || !truth.box.every(Number.isFinite)) {
        throw new RangeError(`picture ${index}: an object's area or box is no finite number`);
      }
      cellOf(truth.category, 'an object').truths.push(truth);
    }
    for (const detection of detections) {
      if (!Number.isFinite(detection.score) || !detection.box.every(Number.isFinite)) {
        throw new RangeError(`picture ${index}: a detection's score or box is no finite number`);
      }
      cellOf(detection.category, 'a detection').detections.push(detection);
    }
  }
  return cells;
}

function tabulate(ranked: ReturnType<typeof rankDetections>, limits: readonly number[]): CategoryTables {
  const tables: CategoryTables = { precision: [], recall: limits.map(() => []) };
  for (let area = 0; area < AREA_RANGES.length; area++) {
    for (const [limit, maxDetections] of limits.entries()) {
      const precision = IOU_THRESHOLDS.map(() => new Float64Array(RECALL_LEVELS.length));
      tables.recall[limit].push(
        precision.map((row, t) => interpolatePrecision(ranked, area, t, maxDetections, RECALL_LEVELS, row)),
      );
      // Precision is asked for with all detections only; the smaller limits serve recall.
      if (limit === limits.length - 1) tables.precision.push(precision);
    }
  }
  return tables;
}

/** Source: `summarize` of pycocotools/cocoeval.py; figures of -1 are left out of the means. */
function summarize(tables: readonly CategoryTables[]): CocoSummary {
  const ap = (area: number, thresholds: (row: Float64Array, t: number) => boolean = () => true): number =>
    mean(tables.flatMap(({ precision }) => precision[area].filter(thresholds).flatMap((row) => [...row])));
  const ar = (limit: number, area: number): number => mean(tables.flatMap(({ recall }) => recall[limit][area]));
  return {
    ap: ap(0),
    ap50: ap(0, (_, t) => t === 0),
    ap75: ap(0, (_, t) => t === 5),
    apSmall: ap(1),
    apMedium: ap(2),
    apLarge: ap(3),
    ar1: ar(0, 0),
    ar10: ar(1, 0),
    ar100: ar(2, 0),
    arSmall: ar(2, 1),
    arMedium: ar(2, 2),
    arLarge: ar(2, 3),
  };
}

function mean(values: readonly number[]): number {
  const counted = values.filter((value) => value > -1);
  return counted.length === 0 ? -1 : counted.reduce((sum, value) => sum + value, 0) / counted.length;
}
