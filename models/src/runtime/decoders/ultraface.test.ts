import { describe, expect, it } from 'vitest';
import { WHOLE_FRAME } from '../frame.js';
import { difference, randomContent, randomScene, seeded, tensor } from './scene.inverse.js';
import { ultraface } from './ultraface.inverse.js';
import { makeUltrafaceDecoder } from './ultraface.js';

const SPEC = { type: 'ultraface', outputs: { scores: 'scores', boxes: 'boxes' } } as const;

describe('makeUltrafaceDecoder', () => {
  it('gives back any objects of one class and of several', () => {
    for (const labels of [['face'], ['face', 'mask']]) {
      const decoder = makeUltrafaceDecoder(SPEC, {
        width: 320,
        height: 240,
        labels,
        thresholds: labels.map(() => 0.25),
      });
      expect(decoder.outputs[0].dims).toEqual([1, null, labels.length + 1]);
      for (let seed = 1; seed <= 100; seed++) {
        const next = seeded(seed);
        const content = randomContent(next);
        const objects = randomScene(next, 12, labels.length);
        const found = decoder.decode(ultraface(objects, labels.length, content), content);
        expect(difference(found, objects)).toBeLessThan(1e-5);
      }
      expect(decoder.suppress).toBe(true);
    }
  });

  it('reads the second column, and x before y', () => {
    const decoder = makeUltrafaceDecoder(SPEC, { width: 320, height: 240, labels: ['face'], thresholds: [0.7] });
    const outputs = {
      scores: tensor([1, 3, 2], [0.25, 0.75, 0.9, 0.1, 0.4, 0.6]),
      boxes: tensor([1, 3, 4], [0.125, 0.25, 0.5, 0.75, 0, 0, 1, 1, 0, 0, 1, 1]),
    };
    expect(decoder.decode(outputs, WHOLE_FRAME)).toEqual([
      { classId: 0, label: 'face', score: 0.75, box: [0.125, 0.25, 0.5, 0.75] },
    ]);
  });

  it('leaves out what is no number, empty or outside', () => {
    const decoder = makeUltrafaceDecoder(SPEC, { width: 320, height: 240, labels: ['face'], thresholds: [0] });
    const boxes = [
      [0.5, 0.5, 0.5, 0.7],
      [1.2, 0, 1.4, 1],
      [Number.NaN, 0, 1, 1],
    ];
    const outputs = {
      scores: tensor([1, 4, 2], [0, 1, 0, 1, 0, 1, 0, Number.NaN]),
      boxes: tensor([1, 4, 4], [...boxes, [0, 0, 1, 1]].flat()),
    };
    expect(decoder.decode(outputs, WHOLE_FRAME)).toEqual([]);
  });
});
