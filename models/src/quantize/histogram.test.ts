import { describe, expect, it } from 'vitest';
import { noise } from '../../test/quantize-model-fixture.js';
import { activationParameters } from './arithmetic.js';
import { addValues, binEdge, HISTOGRAM_BINS, type Histogram, makeHistogram, totalCount } from './histogram.js';
import { clippedDivergence, entropyRange } from './histogram-entropy.js';
import { meanSquaredErrorRange, squaredError } from './histogram-mse.js';
import { percentileRange } from './histogram-percentile.js';

function histogramOf(...batches: ArrayLike<number>[]): Histogram {
  const histogram = makeHistogram();
  for (const batch of batches) {
    const values = Float32Array.from(batch);
    addValues(histogram, values, Math.min(...values), Math.max(...values));
  }
  return histogram;
}

/** Roughly normal values: sums of uniform ones. */
function bell(count: number, seed: number): Float32Array {
  const uniform = noise(6 * count, seed);
  return Float32Array.from({ length: count }, (_, i) => uniform.subarray(6 * i, 6 * i + 6).reduce((a, b) => a + b, 0));
}

describe('a histogram', () => {
  it('counts by hand: bins of a power of two, 0 an edge, zeros apart', () => {
    const histogram = histogramOf([0, -1, 1023.5, 1, 1.5, 0]);
    // 1025 whole units need bins of 1; halves would need 2050
    expect(histogram).toMatchObject({ width: 1, first: -1, zeros: 2, min: -1, max: 1023.5 });
    expect([0, 1, 2, 1024].map((i) => histogram.counts[i])).toEqual([1, 0, 2, 1]);
    expect(totalCount(histogram)).toBe(6);
    expect(binEdge(histogram, 1)).toBe(0);
  });

  it('is the same in whatever order the values come, and as fine as it can be', () => {
    const batches = [noise(500, 1).map((v) => v * 1e-6), noise(500, 2).map((v) => v * 40), noise(500, 3), [7e4, -3]];
    const forwards = histogramOf(...batches);
    expect(histogramOf(...batches.toReversed())).toEqual(forwards);
    expect(histogramOf(batches.flatMap((b) => [...b]))).toEqual(forwards);
    const needed = (width: number) => Math.floor(forwards.max / width) - Math.floor(forwards.min / width) + 1;
    expect(needed(forwards.width)).toBeLessThanOrEqual(HISTOGRAM_BINS);
    expect(needed(forwards.width / 2)).toBeGreaterThan(HISTOGRAM_BINS);
  });

  it('holds every value in the bin it belongs to', () => {
    const values = bell(4000, 5);
    const histogram = histogramOf(values);
    for (let i = 0; i < HISTOGRAM_BINS; i += 7) {
      const inside = values.filter((v) => v >= binEdge(histogram, i) && v < binEdge(histogram, i + 1)).length;
      expect(histogram.counts[i]).toBe(inside);
    }
    expect(totalCount(histogram)).toBe(4000);
  });

  it('bears zeros alone, one value, and the ends of float32', () => {
    expect(histogramOf([0, 0, 0])).toMatchObject({ width: 0, zeros: 3, min: 0, max: 0 });
    expect(totalCount(histogramOf([-5]))).toBe(1);
    expect(totalCount(histogramOf([1e-45, -3e38, 3e38, 1]))).toBe(4);
    expect(totalCount(histogramOf([1e-45]))).toBe(1);
    for (const find of [(h: Histogram) => percentileRange(h, 99), entropyRange, meanSquaredErrorRange]) {
      expect(find(histogramOf([0, 0]))).toEqual({ min: 0, max: 0 });
      for (const values of [[-5], [Math.fround(3e38), -1], [2 ** -140], [0, 0, 2]]) {
        const { min, max } = find(histogramOf(values));
        expect(min).toBeGreaterThanOrEqual(Math.min(0, ...values));
        expect(max).toBeLessThanOrEqual(Math.max(0, ...values));
        expect(max).toBeGreaterThan(min);
      }
    }
  });
});

describe('a percentile range', () => {
  it('loses by hand-counted values what it may on each side, and not one more', () => {
    // 1..1000 in bins of 1, once each
    const histogram = histogramOf(
      Float32Array.from({ length: 1000 }, (_, i) => i + 1.5),
      [-1000],
    );
    expect(histogram.width).toBe(1);
    // 0.5 % of 1001 on each side is 5.005: the five largest go; below, only -1000 stands before 0
    expect(percentileRange(histogram, 99)).toEqual({ min: 0, max: 996 });
    expect(percentileRange(histogramOf(Float32Array.from({ length: 1000 }, (_, i) => i + 1.5)), 99.9).max).toBe(1000.5);
  });

  it('is everything at 100 %, and against a sort never clips more than it may', () => {
    const values = bell(3000, 11);
    const histogram = histogramOf(values);
    expect(percentileRange(histogram, 100)).toEqual({ min: histogram.min, max: histogram.max });
    for (const percent of [90, 99, 99.9]) {
      const { min, max } = percentileRange(histogram, percent);
      const budget = (3000 * (100 - percent)) / 200;
      const above = values.filter((v) => v > max).length;
      const below = values.filter((v) => v < min).length;
      expect(above).toBeLessThanOrEqual(budget + 1e-9);
      expect(below).toBeLessThanOrEqual(budget + 1e-9);
      // one bin further in would be too much
      expect(values.filter((v) => v > max - histogram.width).length).toBeGreaterThan(budget - 1e-9);
      expect(values.filter((v) => v < min + histogram.width).length).toBeGreaterThan(budget - 1e-9);
    }
  });
});

describe('a range of least squared error', () => {
  it('is what trying every pair of ends finds, within a few hundredths', () => {
    const values = Float32Array.from([...bell(60000, 21), 15, -7]);
    const histogram = histogramOf(values);
    const errorOf = (range: { min: number; max: number }) => {
      const { scale, zeroPoint } = activationParameters(range);
      return values.reduce((sum, v) => {
        const level = Math.min(255, Math.max(0, Math.round(v / scale) + zeroPoint));
        return sum + (v - (level - zeroPoint) * scale) ** 2;
      }, 0);
    };
    let least = Number.POSITIVE_INFINITY;
    for (let high = 4; high <= 100; high += 4)
      for (let low = 4; low <= 100; low += 4)
        least = Math.min(least, errorOf({ min: (histogram.min * low) / 100, max: (histogram.max * high) / 100 }));
    const found = meanSquaredErrorRange(histogram);
    expect(errorOf(found)).toBeLessThan(1.03 * least);
    expect(errorOf(found)).toBeLessThan(0.9 * errorOf({ min: histogram.min, max: histogram.max }));
    // an outlier that costs more than it brings is clipped, no matter on which side
    expect(found.max).toBeLessThan(15);
  });

  it('measures by hand: half a level off at most, a twelfth of a squared level on the mean, and what is clipped', () => {
    const even = histogramOf(Float32Array.from({ length: 2000 }, (_, i) => i + 0.5));
    // 100 units a level: 100² / 12 each
    expect(squaredError(even, { scale: 100, zeroPoint: 0 }) / 2000).toBeCloseTo(10000 / 12, 6);
    // levels end at 255: those above are off by 0..1745, the others by 1/12 on the mean (0 to 255.5 holds 255.5 cells)
    const clipped = (1745 ** 3 - 0.5 ** 3) / 3 + 255.5 / 12;
    expect(squaredError(even, { scale: 1, zeroPoint: 0 })).toBeCloseTo(clipped, 0);
  });

  it('keeps evenly spread values whole', () => {
    const histogram = histogramOf(Float32Array.from({ length: 4096 }, (_, i) => i / 4096));
    expect(meanSquaredErrorRange(histogram).max).toBeGreaterThan(0.98);
  });
});

describe('an entropy range', () => {
  it('clips a far outlier of a bell, and spares a spread without one', () => {
    const values = bell(20000, 31);
    const range = entropyRange(histogramOf(values, [60]));
    const reach = Math.max(...values.map(Math.abs));
    expect(range.max).toBeLessThan(30);
    expect(range.max).toBeGreaterThan(reach / 2);
    const even = entropyRange(histogramOf(Float32Array.from({ length: 65536 }, (_, i) => (i % 4096) / 4096)));
    expect(even.max).toBeGreaterThan(0.95);
  });

  it('is the threshold of least divergence among all that are tried', () => {
    const histogram = histogramOf(bell(20000, 41), [25]);
    const { max, min } = entropyRange(histogram);
    const zero = -histogram.first;
    const end = Math.floor(histogram.max / histogram.width) - histogram.first + 1;
    const divergences = new Map<number, number>();
    for (let t = Math.max(zero, end - zero); t > 0; t -= 8) {
      const [from, to] = [Math.max(0, zero - t), Math.min(end, zero + t)];
      if (to - from >= 512) divergences.set(t, clippedDivergence(histogram.counts.subarray(0, end), from, to));
    }
    const best = [...divergences].sort((a, b) => a[1] - b[1])[0][0];
    expect(max).toBe(Math.min(histogram.max, best * histogram.width));
    expect(min).toBe(Math.max(histogram.min, -best * histogram.width));
  });

  it('diverges by hand: equal neighbours lose nothing, unequal ones do', () => {
    const pairs = Float64Array.from({ length: 512 }, (_, i) => 10 + (i >> 1));
    expect(clippedDivergence(pairs, 0, 512)).toBeCloseTo(0, 12);
    // counts 1 and 3 in each level become 2 and 2: (1/4 ln 1/2 + 3/4 ln 3/2)
    const uneven = Float64Array.from({ length: 512 }, (_, i) => (i % 2 === 0 ? 1 : 3));
    expect(clippedDivergence(uneven, 0, 512)).toBeCloseTo(0.25 * Math.log(0.5) + 0.75 * Math.log(1.5), 12);
    expect(clippedDivergence(new Float64Array(600), 0, 512)).toBe(Number.POSITIVE_INFINITY);
  });
});
