import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  meanInterval,
  pairedDifference,
  pairedRatio,
  percentile,
  shareInterval,
  unpairedDifference,
} from './statistics.js';
import { normalQuantile, studentQuantile } from './statistics-distributions.js';
import { bootstrapInterval, pairedStatistic, seededRandom, statisticOf } from './statistics-resampling.js';

const sample = fc.double({ min: 0.001, max: 1e6, noNaN: true });
const confidence = fc.double({ min: 0.5, max: 0.999, noNaN: true });

describe('distributions', () => {
  it('agree with published tables', () => {
    expect(normalQuantile(0.975)).toBeCloseTo(1.959964, 5);
    expect(normalQuantile(0.995)).toBeCloseTo(2.575829, 5);
    expect(normalQuantile(1e-12)).toBeCloseTo(-7.034484, 5);
    for (const [share, freedom, value] of [
      [0.975, 1, 12.7062],
      [0.975, 4, 2.776445],
      [0.995, 9, 3.249836],
      [0.95, 30, 1.697261],
      [0.975, 1000, 1.962339],
    ]) {
      expect(studentQuantile(share, freedom)).toBeCloseTo(value, 4);
      expect(studentQuantile(1 - share, freedom)).toBeCloseTo(-value, 4);
    }
  });
});

describe('intervals', () => {
  it('are those of worked examples', () => {
    // Sleep data of "Student" (1908), as in R: t.test(extra ~ group, paired): 0.7001142 to 2.4598858
    const one = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0];
    const two = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4];
    const pairs = two.map((candidate, index) => ({ candidate, reference: one[index] }));
    const paired = pairedDifference(pairs, 0.95)!;
    expect([paired.low, paired.estimate, paired.high].map((x) => Number(x.toFixed(6)))).toEqual([
      0.700114, 1.58, 2.459886,
    ]);
    // the same data unpaired (Welch): -3.3654832 to 0.2054832
    const welch = unpairedDifference(one, two, 0.95)!;
    expect(welch.low).toBeCloseTo(-3.3654832, 5);
    expect(welch.high).toBeCloseTo(0.2054832, 5);
    // Wilson, 8 of 10: 0.4902 to 0.9433
    const share = shareInterval(8, 10, 0.95)!;
    expect([share.low, share.high].map((x) => Number(x.toFixed(4)))).toEqual([0.4902, 0.9433]);
  });

  it('hold their own estimate, and grow with the confidence', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(sample, sample), { minLength: 2, maxLength: 40 }), confidence, (values, level) => {
        const pairs = values.map(([candidate, reference]) => ({ candidate, reference }));
        const narrow = pairedRatio(pairs, level);
        const wide = pairedRatio(pairs, (1 + level) / 2);
        if (narrow === null || wide === null) return;
        expect(narrow.low).toBeLessThanOrEqual(narrow.estimate);
        expect(narrow.high).toBeGreaterThanOrEqual(narrow.estimate);
        expect(wide.low).toBeLessThanOrEqual(narrow.low * (1 + 1e-9));
        expect(wide.high).toBeGreaterThanOrEqual(narrow.high * (1 - 1e-9));
      }),
    );
  });

  it('turn over when candidate and reference change places', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(sample, sample), { minLength: 2, maxLength: 20 }), (values) => {
        const there = pairedRatio(
          values.map(([candidate, reference]) => ({ candidate, reference })),
          0.9,
        );
        const back = pairedRatio(
          values.map(([reference, candidate]) => ({ candidate, reference })),
          0.9,
        );
        if (there === null || back === null) return;
        expect(Math.log(there.low)).toBeCloseTo(-Math.log(back.high), 6);
      }),
    );
  });

  it('are unknown without enough, or for what is no number', () => {
    expect(meanInterval([1], 0.95)).toBeNull();
    expect(meanInterval([1, Number.NaN], 0.95)).toBeNull();
    expect(pairedRatio([], 0.95)).toBeNull();
    expect(
      pairedRatio(
        [
          { candidate: 1, reference: 0 },
          { candidate: 1, reference: 1 },
        ],
        0.95,
      ),
    ).toBeNull();
    expect(shareInterval(0, 0, 0.95)).toBeNull();
    expect(percentile([], 0.5)).toBeNaN();
    expect(() => pairedRatio([], 1)).toThrow(RangeError);
  });

  it('cover the truth about as often as they say', () => {
    const random = seededRandom(7);
    const normal = () => normalQuantile(Math.min(1 - 1e-12, Math.max(1e-12, random())));
    let hits = 0;
    for (let round = 0; round < 2000; round += 1) {
      const pairs = Array.from({ length: 6 }, () => {
        const common = Math.exp(normal());
        return { candidate: common * 1.1 * Math.exp(0.2 * normal()), reference: common };
      });
      const { low, high } = pairedRatio(pairs, 0.9)!;
      if (low <= 1.1 && high >= 1.1) hits += 1;
    }
    expect(hits / 2000).toBeGreaterThan(0.88);
    expect(hits / 2000).toBeLessThan(0.92);
  });
});

describe('resampling', () => {
  it('takes each figure as a sort would', () => {
    fc.assert(
      fc.property(fc.array(sample, { minLength: 1, maxLength: 50 }), (samples) => {
        expect(statisticOf(samples, 'p95')).toBeCloseTo(percentile(samples, 0.95), 6);
        expect(statisticOf(samples, 'p50')).toBeCloseTo(percentile(samples, 0.5), 6);
        expect(statisticOf(samples, 'max')).toBe(Math.max(...samples));
        expect(statisticOf(samples, 'mean') / (samples.reduce((a, b) => a + b) / samples.length)).toBeCloseTo(1, 9);
      }),
    );
  });

  it('gives the same interval for the same samples, in any order, and holds the estimate', () => {
    fc.assert(
      fc.property(fc.array(sample, { minLength: 2, maxLength: 30 }), (samples) => {
        const first = bootstrapInterval(samples, 'p95', 0.95, { draws: 200 });
        expect(bootstrapInterval(samples, 'p95', 0.95, { draws: 200 })).toEqual(first);
        expect(first!.low).toBeLessThanOrEqual(first!.estimate);
        expect(first!.high).toBeGreaterThanOrEqual(first!.estimate);
        expect(first!.low).toBeGreaterThanOrEqual(Math.min(...samples));
        expect(first!.high).toBeLessThanOrEqual(Math.max(...samples));
      }),
    );
  });

  it('sees through what pairs have in common', () => {
    const random = seededRandom(3);
    const pairs = Array.from({ length: 200 }, () => {
      const frame = 20 + 60 * random();
      return { candidate: frame * 1.02, reference: frame };
    });
    const paired = pairedStatistic(pairs, 'p95', 0.95, (c, r) => c / r)!;
    expect(paired.high - paired.low).toBeLessThan(1e-9);
    expect(paired.estimate).toBeCloseTo(1.02, 9);
  });
});
