import { describe, expect, it } from 'vitest';
import { WHOLE_FRAME } from '../frame.js';
import { fastestdetMap } from './fastestdet.inverse.js';
import { makeFastestdetDecoder } from './fastestdet.js';
import { difference, randomContent, randomScene, type SceneObject, seeded, tensor, toFrame } from './scene.inverse.js';

const LABELS = ['person', 'car', 'dog'];
const INPUT = { width: 352, height: 352, labels: LABELS, thresholds: [0.25, 0.25, 0.25] };
const SPEC = { type: 'fastestdet', outputs: { map: 'output' } } as const;

describe('makeFastestdetDecoder', () => {
  it('gives back any objects, one per cell, from maps of several sizes', () => {
    const decoder = makeFastestdetDecoder(SPEC, INPUT);
    for (const [rows, columns] of [
      [22, 22],
      [11, 20],
    ]) {
      for (let seed = 1; seed <= 60; seed++) {
        const next = seeded(seed);
        const content = randomContent(next);
        const cells = new Map<string, SceneObject>();
        for (const object of randomScene(next, 10, LABELS.length)) {
          const [x1, y1, x2, y2] = toFrame(object.box, content);
          cells.set(`${Math.floor(((x1 + x2) / 2) * columns)} ${Math.floor(((y1 + y2) / 2) * rows)}`, object);
        }
        const objects = [...cells.values()];
        const split = next();
        const found = decoder.decode(fastestdetMap(objects, 3, rows, columns, content, split), content);
        expect(difference(found, objects)).toBeLessThan(1e-4);
      }
    }
    expect(decoder.suppress).toBe(true);
  });

  it('weighs objectness and class as the source does, and measures from the corner of the cell', () => {
    // One row of two cells; the right one: tanh 0 = 0, so the centre is 1 / 2; sigmoid 0 = 0.5.
    const map = tensor([1, 8, 1, 2], [0, 0.8, 0, 0, 0, Math.atanh(0.5), 0, 0, 0, 0, 0, 0.1, 0, 0.7, 0, 0.2]);
    const [found, ...more] = makeFastestdetDecoder(SPEC, INPUT).decode({ output: map }, WHOLE_FRAME);
    expect(found).toMatchObject({ label: 'car' });
    expect(found.score).toBeCloseTo(0.8 ** 0.6 * 0.7 ** 0.4, 6);
    for (const [side, value] of [0.25, 0.25, 0.75, 0.75].entries()) expect(found.box[side]).toBeCloseTo(value, 6);
    expect(more).toEqual([]);
  });

  it('leaves out what is no number', () => {
    const decoder = makeFastestdetDecoder(SPEC, { ...INPUT, thresholds: [0, 0, 0] });
    const map = tensor([1, 8, 3, 3], new Float32Array(72).fill(Number.NaN));
    expect(decoder.decode({ output: map }, WHOLE_FRAME)).toEqual([]);
    map.data.fill(-Infinity);
    expect(decoder.decode({ output: map }, WHOLE_FRAME)).toEqual([]);
  });
});
