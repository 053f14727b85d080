import { describe, expect, it } from 'vitest';
import { seeded } from './decoders/scene.inverse.js';
import { type Box, type Detection, intersectionOverUnion } from './detection.js';
import { bestFirst, suppressNonMaxima } from './nms.js';

const SETTINGS = { iou: 0.5, perClass: true, maxDetections: 100 };
const found = (score: number, box: Box, classId = 0): Detection => ({ classId, label: `class-${classId}`, score, box });

describe('suppressNonMaxima', () => {
  it('keeps the better of two that overlap, and what stands apart', () => {
    const weak = found(0.6, [0, 0, 0.4, 0.5]);
    const best = found(0.9, [0, 0, 0.4, 0.4]);
    const apart = found(0.3, [0.6, 0.6, 0.9, 0.9]);
    expect(suppressNonMaxima([weak, apart, best], SETTINGS)).toEqual([best, apart]);
  });

  it('keeps an overlap of exactly the limit', () => {
    const a = found(0.9, [0, 0, 0.5, 1]);
    const b = found(0.8, [0, 0, 1, 1]);
    expect(suppressNonMaxima([a, b], SETTINGS)).toEqual([a, b]);
    expect(suppressNonMaxima([a, b], { ...SETTINGS, iou: 0.49 })).toEqual([a]);
  });

  it('compares classes only when asked', () => {
    const a = found(0.9, [0, 0, 1, 1], 0);
    const b = found(0.8, [0, 0, 1, 1], 1);
    expect(suppressNonMaxima([a, b], SETTINGS)).toEqual([a, b]);
    expect(suppressNonMaxima([a, b], { ...SETTINGS, perClass: false })).toEqual([a]);
  });

  it('does not let a suppressed box suppress others', () => {
    const first = found(0.9, [0, 0, 0.4, 1]);
    const second = found(0.8, [0.1, 0, 0.5, 1]);
    const third = found(0.7, [0.2, 0, 0.6, 1]);
    expect(suppressNonMaxima([first, second, third], SETTINGS)).toEqual([first, third]);
  });

  it('keeps the order of equal scores, the limit, and its argument', () => {
    const boxes = [0, 1, 2, 3].map((i) => found(0.5, [i / 4, 0, (i + 0.9) / 4, 1], i));
    const copy = [...boxes];
    expect(suppressNonMaxima(boxes, { ...SETTINGS, maxDetections: 3 })).toEqual(boxes.slice(0, 3));
    expect(boxes).toEqual(copy);
    expect(suppressNonMaxima([], SETTINGS)).toEqual([]);
  });
});

/** Crowded, of three classes, many scores twice. */
function crowd(seed: number, count = 60): Detection[] {
  const next = seeded(seed);
  return Array.from({ length: count }, () => {
    const [x, y] = [0.6 * next(), 0.6 * next()];
    const box: Box = [x, y, x + 0.1 + 0.3 * next(), y + 0.1 + 0.3 * next()];
    return found(Math.round(10 * next()) / 10, box, Math.floor(3 * next()));
  });
}

const byScore = (detections: readonly Detection[]) => [...detections].sort((a, b) => b.score - a.score);

describe('suppressNonMaxima, in any crowd', () => {
  const seeds = Array.from({ length: 100 }, (_, index) => index + 1);

  it.each([true, false])('leaves no overlap and drops nothing without one (per class: %s)', (perClass) => {
    for (const seed of seeds) {
      const all = crowd(seed);
      const kept = suppressNonMaxima(all, { ...SETTINGS, perClass });
      const overlaps = (a: Detection, b: Detection) =>
        (!perClass || a.classId === b.classId) && intersectionOverUnion(a.box, b.box) > SETTINGS.iou;
      expect(kept).toEqual(byScore(kept));
      for (const [index, one] of kept.entries()) {
        expect(kept.slice(index + 1).some((other) => overlaps(one, other))).toBe(false);
      }
      // What comes first wins a tie: a dropped one overlaps a kept one that is better, or equal and earlier.
      const ranks = new Map(byScore(all).map((detection, rank) => [detection, rank]));
      for (const dropped of all.filter((detection) => !kept.includes(detection))) {
        const better = kept.filter((one) => ranks.get(one)! < ranks.get(dropped)!);
        expect(better.some((one) => overlaps(one, dropped))).toBe(true);
      }
    }
  });

  it('per class is each class by itself', () => {
    for (const seed of seeds) {
      const all = crowd(seed);
      const apart = [0, 1, 2].flatMap((id) =>
        suppressNonMaxima(
          all.filter(({ classId }) => classId === id),
          SETTINGS,
        ),
      );
      const together = suppressNonMaxima(all, SETTINGS);
      expect(new Set(together)).toEqual(new Set(apart));
    }
  });

  it('with a limit gives the first of what it gives without', () => {
    for (const seed of seeds) {
      const all = crowd(seed);
      const limited = suppressNonMaxima(all, { ...SETTINGS, maxDetections: 7 });
      expect(limited).toEqual(suppressNonMaxima(all, SETTINGS).slice(0, 7));
    }
  });

  it('looks at the best candidates only', () => {
    for (const seed of seeds) {
      const all = crowd(seed);
      const limited = suppressNonMaxima(all, { ...SETTINGS, maxCandidates: 13 });
      expect(limited).toEqual(suppressNonMaxima(byScore(all).slice(0, 13), SETTINGS));
    }
  });

  it('compares at most 4096 candidates when nothing else is said', () => {
    // Side by side, so that each is kept: 25,200 of them, as a YOLOv5 at threshold 0 gives.
    const all = Array.from({ length: 25_200 }, (_, i) => found((i + 1) / 25_200, [i / 25_200, 0, (i + 1) / 25_200, 1]));
    const kept = suppressNonMaxima(all, { ...SETTINGS, iou: 0, maxDetections: 100_000 });
    expect(kept).toEqual(all.slice(-4096).reverse());
  });
});

describe('bestFirst', () => {
  it('is a stable sort, cut off', () => {
    for (let seed = 1; seed <= 100; seed++) {
      const all = crowd(seed);
      for (const maxDetections of [1, 10, 59, 60, 61]) {
        expect(bestFirst(all, { maxDetections })).toEqual(byScore(all).slice(0, maxDetections));
      }
    }
  });
});
