import type { ScoreCurve } from './coco-accumulate.js';

/** What a score threshold gives. */
export interface OperatingPoint {
  /** Detections of at least this score count. */
  threshold: number;
  /** Right ones among the detections; 1 when there is none: nothing said, nothing wrong. */
  precision: number;
  /** Objects found among those to be found; 0 when there is none. */
  recall: number;
  f1: number;
  truePositives: number;
  falsePositives: number;
  falseNegatives: number;
}

/** Precision and recall when detections below `threshold` are dropped. */
export function operatingPoint(curve: ScoreCurve, threshold: number): OperatingPoint {
  // Scores fall: the first one below the threshold, by halving.
  let low = 0;
  let high = curve.scores.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (curve.scores[middle] >= threshold) low = middle + 1;
    else high = middle;
  }
  return pointAfter(curve, low, threshold);
}

/**
 * The threshold with the highest F1, the higher one of equals; undefined when nothing was found. Detections of the same
 * score go together: no threshold can part them.
 */
export function bestF1(curve: ScoreCurve): OperatingPoint | undefined {
  let best: OperatingPoint | undefined;
  for (let index = 0; index < curve.scores.length; index++) {
    if (curve.scores[index] === curve.scores[index + 1]) continue;
    const point = pointAfter(curve, index + 1, curve.scores[index]);
    if (point.truePositives > 0 && (best === undefined || point.f1 > best.f1)) best = point;
  }
  return best;
}

/** The curve's points, highest threshold first, one for each score that was given. */
export function precisionRecallPoints(curve: ScoreCurve): { recall: number; precision: number }[] {
  const points: { recall: number; precision: number }[] = [];
  for (let index = 0; index < curve.scores.length; index++) {
    if (curve.scores[index] === curve.scores[index + 1]) continue;
    const { recall, precision } = pointAfter(curve, index + 1, curve.scores[index]);
    points.push({ recall, precision });
  }
  return points;
}

function pointAfter(curve: ScoreCurve, count: number, threshold: number): OperatingPoint {
  const truePositives = count === 0 ? 0 : curve.truePositives[count - 1];
  const falsePositives = count === 0 ? 0 : curve.falsePositives[count - 1];
  const falseNegatives = Math.max(0, curve.positives - truePositives);
  const precision = count === 0 ? 1 : truePositives / (truePositives + falsePositives);
  const recall = curve.positives === 0 ? 0 : truePositives / curve.positives;
  return {
    threshold,
    precision,
    recall,
    f1: truePositives === 0 ? 0 : (2 * precision * recall) / (precision + recall),
    truePositives,
    falsePositives,
    falseNegatives,
  };
}

/** One curve over all detections of several classes: what one threshold for all of them gives. */
export function mergeCurves(curves: readonly ScoreCurve[]): ScoreCurve {
  const total = curves.reduce((sum, { scores }) => sum + scores.length, 0);
  const scores = new Float64Array(total);
  const right = new Uint8Array(total);
  let at = 0;
  for (const curve of curves) {
    for (let index = 0; index < curve.scores.length; index++, at++) {
      scores[at] = curve.scores[index];
      right[at] = curve.truePositives[index] - (index === 0 ? 0 : curve.truePositives[index - 1]);
    }
  }
  const order = Uint32Array.from({ length: total }, (_, index) => index);
  order.sort((a, b) => scores[b] - scores[a] || a - b);
  const merged: ScoreCurve = {
    scores: Float64Array.from(order, (index) => scores[index]),
    truePositives: new Uint32Array(total),
    falsePositives: new Uint32Array(total),
    positives: curves.reduce((sum, { positives }) => sum + positives, 0),
  };
  let truePositives = 0;
  for (const [place, index] of order.entries()) {
    truePositives += right[index];
    merged.truePositives[place] = truePositives;
    merged.falsePositives[place] = place + 1 - truePositives;
  }
  return merged;
}
