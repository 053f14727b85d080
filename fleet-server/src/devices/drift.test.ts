import { describe, expect, it } from 'vitest';
import { judgeDrift, populationStabilityIndex } from './drift.js';

describe('populationStabilityIndex', () => {
  it('is zero for one shape at any size, and the same both ways', () => {
    expect(populationStabilityIndex([10, 20, 70], [100, 200, 700])).toBeCloseTo(0, 12);
    const [a, b] = [
      [10, 20, 70],
      [40, 40, 20],
    ];
    expect(populationStabilityIndex(a, b)).toBeCloseTo(populationStabilityIndex(b, a) as number, 12);
  });

  it('gives the figure of the textbook', () => {
    // (0.2 - 0.1) ln 2 + (0.8 - 0.9) ln (0.8 / 0.9)
    expect(populationStabilityIndex([100, 900], [200, 800])).toBeCloseTo(0.1 * Math.log(2) - 0.1 * Math.log(8 / 9), 12);
  });

  it('says much, not infinitely much, of a bin that one side never saw, and nothing of an empty side', () => {
    const psi = populationStabilityIndex([0, 1000], [500, 500]) as number;
    expect([psi > 1, Number.isFinite(psi)]).toEqual([true, true]);
    expect(populationStabilityIndex([0, 0], [1, 2])).toBeNull();
    expect(() => populationStabilityIndex([1], [1, 2])).toThrow(RangeError);
  });
});

describe('judgeDrift', () => {
  const thresholds = { minDetections: 100, scorePsi: 0.25, areaPsi: 0.25 };
  const usual = { scores: [10, 40, 50], areas: [50, 40, 10] };

  it('finds what moved and lets the rest be', () => {
    expect(judgeDrift(usual, { scores: [12, 38, 50], areas: [48, 42, 10] }, thresholds)).toMatchObject({
      drifting: false,
    });
    expect(judgeDrift(usual, { scores: [70, 20, 10], areas: [50, 40, 10] }, thresholds)).toMatchObject({
      drifting: true,
    });
    expect(judgeDrift(usual, { scores: [10, 40, 50], areas: [5, 15, 80] }, thresholds)).toMatchObject({
      drifting: true,
    });
  });

  it('says nothing of few detections', () => {
    expect(judgeDrift(usual, { scores: [70, 20, 9], areas: [1, 2, 96] }, thresholds)).toBeNull();
    expect(judgeDrift({ scores: [1, 1, 1], areas: [1, 1, 1] }, usual, thresholds)).toBeNull();
  });
});
