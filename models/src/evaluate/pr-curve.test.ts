import { describe, expect, it } from 'vitest';
import type { ScoreCurve } from './coco-accumulate.js';
import { bestF1, mergeCurves, operatingPoint, precisionRecallPoints } from './pr-curve.js';

/** Right and wrong detections, best first. */
function curveOf(positives: number, detections: [score: number, right: boolean][]): ScoreCurve {
  const sum = (wanted: boolean) =>
    Uint32Array.from(
      detections,
      (_, index) => detections.slice(0, index + 1).filter(([, right]) => right === wanted).length,
    );
  return {
    scores: Float64Array.from(detections, ([score]) => score),
    truePositives: sum(true),
    falsePositives: sum(false),
    positives,
  };
}
const curve = curveOf(4, [
  [0.9, true],
  [0.8, false],
  [0.8, true],
  [0.5, true],
  [0.2, false],
]);
const empty = curveOf(3, []);

describe('operatingPoint', () => {
  it('counts detections from the threshold up', () => {
    expect(operatingPoint(curve, 0.8)).toMatchObject({ truePositives: 2, falsePositives: 1, falseNegatives: 2 });
    expect(operatingPoint(curve, 0.81)).toMatchObject({ precision: 1, recall: 0.25, f1: 0.4 });
    expect(operatingPoint(curve, 0)).toMatchObject({ precision: 0.6, recall: 0.75 });
  });

  it('has an answer where nothing is said or asked', () => {
    expect(operatingPoint(curve, 0.95)).toMatchObject({ precision: 1, recall: 0, f1: 0, falseNegatives: 4 });
    expect(operatingPoint(curveOf(0, [[0.5, false]]), 0.1)).toMatchObject({ precision: 0, recall: 0, f1: 0 });
  });
});

describe('bestF1', () => {
  it('finds the threshold', () => {
    // At 0.5: 3 right, 1 wrong, 1 missed.
    expect(bestF1(curve)).toMatchObject({ threshold: 0.5, precision: 0.75, recall: 0.75, f1: 0.75 });
  });

  it('does not part detections of one score', () => {
    const tied = curveOf(1, [
      [0.5, true],
      [0.5, false],
    ]);
    expect(bestF1(tied)).toMatchObject({ threshold: 0.5, precision: 0.5 });
  });

  it('is silent when nothing was found', () => {
    expect(bestF1(empty)).toBeUndefined();
    expect(bestF1(curveOf(2, [[0.5, false]]))).toBeUndefined();
  });
});

describe('precisionRecallPoints', () => {
  it('has a point for each score', () => {
    expect(precisionRecallPoints(curve).map(({ recall }) => recall)).toEqual([0.25, 0.5, 0.75, 0.75]);
    expect(precisionRecallPoints(empty)).toEqual([]);
  });
});

describe('mergeCurves', () => {
  it('puts the detections of all classes into one order', () => {
    const merged = mergeCurves([
      curve,
      curveOf(1, [
        [0.85, false],
        [0.6, true],
      ]),
      empty,
    ]);
    expect([...merged.scores]).toEqual([0.9, 0.85, 0.8, 0.8, 0.6, 0.5, 0.2]);
    expect([...merged.truePositives]).toEqual([1, 1, 1, 2, 3, 4, 4]);
    expect([...merged.falsePositives]).toEqual([0, 1, 2, 2, 2, 2, 3]);
    expect(merged.positives).toBe(8);
  });
});
