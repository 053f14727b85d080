import { describe, expect, it } from 'vitest';
import { commonTrend } from './trend.js';

/** Two models in turn, one 40 larger, with a saw tooth of ±3. */
function series(slope: number, count: number) {
  return Array.from({ length: count }, (_, x) => ({
    group: x % 2 === 0 ? 'fp32' : 'int8',
    x,
    y: 300 + (x % 2 === 0 ? 40 : 0) + slope * x + [-3, 1, 3, -1, 0][x % 5],
  }));
}

describe('commonTrend', () => {
  it('finds the growth that two groups of different levels share', () => {
    const trend = commonTrend(series(0.5, 90));
    expect(trend?.slope).toBeCloseTo(0.5, 1);
    expect((trend?.slope ?? 0) / (trend?.standardError ?? 1)).toBeGreaterThan(10);
  });

  it('takes noise and different levels for no growth', () => {
    const trend = commonTrend(series(0, 90));
    expect(Math.abs(trend?.slope ?? 1)).toBeLessThan(2 * (trend?.standardError ?? 0));
  });

  it('is nothing where nothing can be said', () => {
    expect(commonTrend([])).toBeNull();
    expect(commonTrend(series(1, 3))).toBeNull();
    expect(commonTrend([1, 2, 3].map((y) => ({ group: 'a', x: 5, y })))).toBeNull();
  });
});
