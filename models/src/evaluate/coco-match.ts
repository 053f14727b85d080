/** [x, y, width, height] in pixels of the picture, origin top left. */
export type PixelBox = readonly [number, number, number, number];

/** An object that stands in a picture. */
export interface CocoTruth {
  /** Index of the category, from 0. */
  category: number;
  box: PixelBox;
  /** Square pixels as annotated: COCO counts the silhouette, not the box. Decides which area range it belongs to. */
  area: number;
  /** A group drawn as one box: finding it, even many times, is neither right nor wrong. */
  crowd?: boolean;
  /** An object that need not be found (VOC's `difficult`): finding it once is neither right nor wrong. */
  ignore?: boolean;
  /** See `CocoSettings`: an id of 0 is special to pycocotools. */
  id?: number;
}

/** What a model says is there. */
export interface CocoDetection {
  /** Index of the category, from 0. */
  category: number;
  /** Any finite number; higher is surer. */
  score: number;
  box: PixelBox;
}

/** What one picture holds of one category. */
export interface CocoCell {
  truths: CocoTruth[];
  detections: CocoDetection[];
}

/** Lowest and highest area in square pixels, both included. */
export type AreaRange = readonly [number, number];

/** What became of one cell's detections, best score first, at most `maxDetections` of them. */
export interface CellMatch {
  scores: Float64Array;
  /** Per area range, per detection: bit t is set when it found an object at IoU threshold t. */
  matched: Uint16Array[];
  /** Per area range, per detection: bit t is set when it counts neither for nor against the model at threshold t. */
  ignored: Uint16Array[];
  /** Per area range: objects that should be found. */
  positives: number[];
}

/**
 * Overlap of a detection with an object. For a crowd it is the share of the detection's own area that lies in it.
 * Source: `bbIou` of maskApi.c in cocoapi.
 */
function cocoOverlap(detection: PixelBox, truth: PixelBox, crowd: boolean): number {
  const width = Math.min(detection[2] + detection[0], truth[2] + truth[0]) - Math.max(detection[0], truth[0]);
  if (width <= 0) return 0;
  const height = Math.min(detection[3] + detection[1], truth[3] + truth[1]) - Math.max(detection[1], truth[1]);
  if (height <= 0) return 0;
  const intersection = width * height;
  const area = detection[2] * detection[3];
  return intersection / (crowd ? area : area + truth[2] * truth[3] - intersection);
}

/**
 * Matches one cell greedily, best score first, at each of at most 16 IoU thresholds and for each area range.
 * Source: `computeIoU` and `evaluateImg` of pycocotools/cocoeval.py, followed to its ties: of two objects with the same
 * overlap the later one is taken; an object to be ignored is taken only when no other fits.
 */
export function matchCell(
  cell: CocoCell,
  iouThresholds: readonly number[],
  areaRanges: readonly AreaRange[],
  maxDetections: number,
): CellMatch {
  const { truths } = cell;
  // Array.prototype.sort is stable, as numpy's mergesort is: equal scores keep their order.
  const detections = [...cell.detections].sort((a, b) => b.score - a.score).slice(0, maxDetections);
  const overlaps = new Float64Array(detections.length * truths.length);
  const crowd = truths.map((truth) => truth.crowd === true);
  // Most detections touch nothing: their best overlap spares the search at every threshold and area range.
  const best = new Float64Array(detections.length);
  for (let d = 0; d < detections.length; d++) {
    for (let g = 0; g < truths.length; g++) {
      const overlap = cocoOverlap(detections[d].box, truths[g].box, crowd[g]);
      overlaps[d * truths.length + g] = overlap;
      if (overlap > best[d]) best[d] = overlap;
    }
  }
  const match: CellMatch = {
    scores: Float64Array.from(detections, ({ score }) => score),
    matched: [],
    ignored: [],
    positives: [],
  };
  for (const [lowest, highest] of areaRanges) {
    const outside = (area: number): boolean => area < lowest || area > highest;
    const ignore = truths.map((truth, g) => crowd[g] || truth.ignore === true || outside(truth.area));
    const counted = truths.flatMap((_, index) => (ignore[index] ? [] : [index]));
    const order = [...counted, ...truths.flatMap((_, index) => (ignore[index] ? [index] : []))];
    const matched = new Uint16Array(detections.length);
    const ignored = new Uint16Array(detections.length);
    if (truths.length > 0) {
      const objects = { order, ignore, crowd, unseen: truths.map(({ id }) => id === 0) };
      for (const [t, threshold] of iouThresholds.entries()) {
        matchAt(t, threshold, objects, overlaps, best, matched, ignored);
      }
    }
    const all = 2 ** iouThresholds.length - 1;
    for (const [d, { box }] of detections.entries()) {
      if (outside(box[2] * box[3])) ignored[d] |= all & ~matched[d];
    }
    match.matched.push(matched);
    match.ignored.push(ignored);
    match.positives.push(counted.length);
  }
  return match;
}

/** Objects of a cell, by index. */
interface CellObjects {
  /** Indices: those that count before the others. */
  order: readonly number[];
  ignore: readonly boolean[];
  crowd: readonly boolean[];
  /** pycocotools marks a match by the object's id, so that with an id of 0 it reads as no match. */
  unseen: readonly boolean[];
}

/** One IoU threshold: sets bit `t` of `matched` and `ignored`. `best` is each detection's highest overlap. */
function matchAt(
  t: number,
  threshold: number,
  { order, ignore, crowd, unseen }: CellObjects,
  overlaps: Float64Array,
  best: Float64Array,
  matched: Uint16Array,
  ignored: Uint16Array,
): void {
  const bit = 1 << t;
  const objects = order.length;
  const lowest = Math.min(threshold, 1 - 1e-10);
  const taken = new Uint8Array(objects);
  for (let d = 0; d < matched.length; d++) {
    if (best[d] < lowest) continue;
    let reached = lowest;
    let found = -1;
    for (let place = 0; place < objects; place++) {
      const g = order[place];
      if (taken[g] === 1 && !crowd[g]) continue;
      if (found >= 0 && !ignore[found] && ignore[g]) break;
      const overlap = overlaps[d * objects + g];
      if (overlap < reached) continue;
      reached = overlap;
      found = g;
    }
    if (found < 0) continue;
    taken[found] = 1;
    if (ignore[found]) ignored[d] |= bit;
    if (!unseen[found]) matched[d] |= bit;
  }
}
