import { describe, expect, it } from 'vitest';
import type { Box, Detection } from './detection.js';
import { suppressNonMaxima } from './nms.js';

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
