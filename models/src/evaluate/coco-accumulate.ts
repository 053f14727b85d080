import type { CellMatch } from './coco-match.js';

/** How sure, and what it brought: detections of one category that count, best score first, summed up. */
export interface ScoreCurve {
  scores: Float64Array;
  /** Objects found by the first n + 1 detections. */
  truePositives: Uint32Array;
  /** False alarms among the first n + 1 detections. */
  falsePositives: Uint32Array;
  /** Objects to be found. */
  positives: number;
}

/** Detections of one category over all pictures, in the order in which they are counted. */
export interface RankedDetections {
  /** Best first; equal scores in the order of the pictures, and within one as the model gave them. */
  scores: Float64Array;
  /** Place of each within its own picture, from 0. */
  ranks: Uint32Array;
  /** Per area range; bits per IoU threshold, see `CellMatch`. */
  matched: Uint16Array[];
  ignored: Uint16Array[];
  /** Per area range: objects to be found. */
  positives: number[];
}

/** Puts the cells of one category together, sorted by score as `accumulate` of pycocotools does (stable). */
export function rankDetections(cells: readonly CellMatch[], areaRanges: number): RankedDetections {
  const total = cells.reduce((sum, { scores }) => sum + scores.length, 0);
  const unsorted = new Float64Array(total);
  const place = new Uint32Array(total);
  const cellOf = new Uint32Array(total);
  let at = 0;
  for (const [index, { scores }] of cells.entries()) {
    for (let rank = 0; rank < scores.length; rank++, at++) {
      unsorted[at] = scores[rank];
      place[at] = rank;
      cellOf[at] = index;
    }
  }
  const order = Uint32Array.from({ length: total }, (_, index) => index);
  order.sort((a, b) => unsorted[b] - unsorted[a] || a - b);
  const areas = Array.from({ length: areaRanges }, (_, area) => area);
  const pick = (values: (cell: CellMatch) => Uint16Array): Uint16Array =>
    Uint16Array.from(order, (index) => values(cells[cellOf[index]])[place[index]]);
  return {
    scores: Float64Array.from(order, (index) => unsorted[index]),
    ranks: Uint32Array.from(order, (index) => place[index]),
    matched: areas.map((area) => pick(({ matched }) => matched[area])),
    ignored: areas.map((area) => pick(({ ignored }) => ignored[area])),
    positives: areas.map((area) => cells.reduce((sum, { positives }) => sum + positives[area], 0)),
  };
}

/**
 * Precision at each recall level, and the highest recall, of one category, area range and IoU threshold, counting the
 * best `maxDetections` of each picture. `precision` has as many elements as `recallLevels` and is overwritten. Without
 * any object to be found both are -1: there is nothing to say. Source: `accumulate` of pycocotools/cocoeval.py.
 */
export function interpolatePrecision(
  ranked: RankedDetections,
  area: number,
  threshold: number,
  maxDetections: number,
  recallLevels: Float64Array,
  precision: Float64Array,
): number {
  const positives = ranked.positives[area];
  if (positives === 0) {
    precision.fill(-1);
    return -1;
  }
  const matched = ranked.matched[area];
  const ignored = ranked.ignored[area];
  const bit = 1 << threshold;
  const recalls: number[] = [];
  const precisions: number[] = [];
  let truePositives = 0;
  let falsePositives = 0;
  for (let index = 0; index < matched.length; index++) {
    if (ranked.ranks[index] >= maxDetections) continue;
    if ((ignored[index] & bit) === 0) {
      if ((matched[index] & bit) === 0) falsePositives++;
      else truePositives++;
    }
    // An ignored detection stands here too: it repeats its forerunner, or is a precision of 0 at the very start.
    recalls.push(truePositives / positives);
    precisions.push(truePositives / (falsePositives + truePositives + Number.EPSILON));
  }
  for (let index = precisions.length - 1; index > 0; index--) {
    if (precisions[index] > precisions[index - 1]) precisions[index - 1] = precisions[index];
  }
  let index = 0;
  for (let level = 0; level < recallLevels.length; level++) {
    while (index < recalls.length && recalls[index] < recallLevels[level]) index++;
    precision[level] = index < recalls.length ? precisions[index] : 0;
  }
  return recalls.length === 0 ? 0 : recalls[recalls.length - 1];
}

/** What every score threshold would give, at one IoU threshold, all sizes together. */
export function scoreCurve(ranked: RankedDetections, threshold: number): ScoreCurve {
  const bit = 1 << threshold;
  const counted: number[] = [];
  for (let index = 0; index < ranked.scores.length; index++) {
    if ((ranked.ignored[0][index] & bit) === 0) counted.push(index);
  }
  const curve: ScoreCurve = {
    scores: new Float64Array(counted.length),
    truePositives: new Uint32Array(counted.length),
    falsePositives: new Uint32Array(counted.length),
    positives: ranked.positives[0],
  };
  let truePositives = 0;
  for (const [place, index] of counted.entries()) {
    if ((ranked.matched[0][index] & bit) !== 0) truePositives++;
    curve.scores[place] = ranked.scores[index];
    curve.truePositives[place] = truePositives;
    curve.falsePositives[place] = place + 1 - truePositives;
  }
  return curve;
}
