import { describe, expect, it } from 'vitest';
import type { GoldenFrame } from '../package/manifest.js';
import type { Detection } from './detection.js';
import { compareGolden } from './golden.js';

const golden: GoldenFrame = {
  file: 'golden/a.jpg',
  detections: [
    { label: 'person', score: 0.6, box: [0.1, 0.1, 0.3, 0.5] },
    { label: 'person', score: 0.42, box: [0.6, 0.1, 0.8, 0.5] },
  ],
  tolerance: { score: 0.05, iou: 0.8 },
};
const strong: Detection = { classId: 0, label: 'person', score: 0.62, box: [0.1, 0.1, 0.3, 0.51] };
const weak: Detection = { classId: 0, label: 'person', score: 0.41, box: [0.6, 0.1, 0.8, 0.5] };
const far: Detection = { classId: 0, label: 'person', score: 0.7, box: [0.4, 0.6, 0.6, 0.9] };

describe('compareGolden', () => {
  it('accepts what is within the tolerances, in any order', () => {
    expect(compareGolden(golden, [strong, weak], 0.4)).toEqual({ ok: true });
    expect(compareGolden(golden, [weak, strong])).toEqual({ ok: true });
  });

  it.each<[string, Detection[]]>([
    ['nothing found', []],
    ['a score too far off', [{ ...strong, score: 0.66 }, weak]],
    ['a box too far off', [{ ...strong, box: [0.1, 0.1, 0.3, 0.65] }, weak]],
    ['another label', [{ ...strong, label: 'dog' }, weak]],
    ['one more than expected', [strong, weak, far]],
    ['one object found twice', [strong, strong, weak]],
  ])('refuses %s', (_name, actual) => {
    const verdict = compareGolden(golden, actual, 0.4);
    expect(verdict.ok).toBe(false);
    expect(verdict).toMatchObject({ reason: expect.stringContaining('golden/a.jpg') });
  });

  it('does not insist on a detection that stands at the threshold', () => {
    expect(compareGolden(golden, [strong], 0.4)).toEqual({ ok: true });
    expect(compareGolden(golden, [strong], 0.3).ok).toBe(false);
    expect(compareGolden(golden, [strong, weak, { ...far, score: 0.43 }], 0.4)).toEqual({ ok: true });
  });

  it('expects nothing of an empty frame', () => {
    const empty = { ...golden, detections: [] };
    expect(compareGolden(empty, [], 0.4)).toEqual({ ok: true });
    expect(compareGolden(empty, [far], 0.4).ok).toBe(false);
  });
});
