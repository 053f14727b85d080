import { describe, expect, it } from 'vitest';
import { narrow, overlappingSpans } from './float-block.js';

describe('runs of layers that are tried', () => {
  it('overlap by half, reach both ends, never hold all layers, and are few however deep the network', () => {
    for (let layers = 2; layers <= 300; layers++) {
      const spans = overlappingSpans(layers);
      expect(spans[0][0]).toBe(0);
      expect(spans.at(-1)![1]).toBe(layers);
      expect(spans.length).toBeLessThanOrEqual(64);
      const length = spans[0][1] - spans[0][0];
      expect(length).toBeLessThan(layers);
      // any run of half that length is whole in one of them
      const short = Math.ceil(length / 2);
      for (let start = 0; start + short <= layers; start++)
        expect(spans.some(([from, to]) => from <= start && to >= start + short)).toBe(true);
    }
  });
});

describe('narrowing a run', () => {
  it.each([
    [0, 3],
    [2, 4],
    [5, 7],
    [3, 4],
    [0, 7],
  ])('finds that layers %i up to %i are the ones at fault', async (first, end) => {
    let asked = 0;
    const score = async ([from, to]: [number, number]) => {
      asked++;
      return from <= first && to >= end ? 15 : 7;
    };
    expect(await narrow([0, 7], 14, score)).toEqual([first, end]);
    expect(asked).toBeLessThanOrEqual(6);
  });
});
