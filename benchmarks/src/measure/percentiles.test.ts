import { describe, expect, it } from 'vitest';
import { median, percentile, percentiles } from './percentiles.js';

describe('percentile', () => {
  it('interpolates between closest ranks like NumPy', () => {
    expect(percentile([1, 2, 3, 4], 0.5)).toBe(2.5);
    expect(percentile([10, 20, 30], 0.95)).toBeCloseTo(29);
    expect(percentile([7], 0.99)).toBe(7);
  });

  it('neither needs nor changes the order of its samples', () => {
    const samples = [5, 1, 4, 2, 3];
    expect(percentiles(samples).p50).toBe(3);
    expect(samples).toEqual([5, 1, 4, 2, 3]);
  });

  it('sorts as numbers, not as text', () => {
    expect(median([100, 9, 20])).toBe(20);
  });

  it('has no value without samples', () => {
    expect(median([])).toBeNaN();
  });
});
