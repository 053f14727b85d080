import { describe, expect, it } from 'vitest';
import {
  averagePrecision,
  median,
  medianInterval,
  mulberry32,
  pairedBootstrap,
  quantile,
} from './quantization-bootstrap.mjs';
import { markdownTable, verdict } from './quantization-report.mjs';

/** Detections best first: [picture, right]. */
function ranked(list: [number, boolean][]) {
  return {
    pictures: Uint32Array.from(list, ([picture]) => picture),
    matched: Uint16Array.from(list, ([, right]) => (right ? 1 : 0)),
    ignored: new Uint16Array(list.length),
  };
}

const AP50 = { thresholds: [0] };

describe('average precision of a draw', () => {
  it('is what the 101 recall levels give by hand', () => {
    // right, wrong, right of 2 objects: precision 1 up to recall 0.5 (51 levels), 2/3 up to 1 (50 levels)
    const result = ranked([
      [0, true],
      [1, false],
      [1, true],
    ]);
    expect(averagePrecision(result, [1, 1], [1, 1], [0])).toBeCloseTo((51 + 50 * (2 / 3)) / 101, 12);
    // picture 1 drawn twice and picture 0 not: wrong, wrong, right, right of 2
    expect(averagePrecision(result, [1, 1], [0, 2], [0])).toBeCloseTo(0.5, 12);
    expect(averagePrecision(result, [0, 0], [1, 1], [0])).toBeNaN();
  });

  it('counts a picture drawn twice as two pictures', () => {
    const twice = ranked([
      [0, true],
      [2, true],
      [1, false],
      [0, false],
      [2, false],
      [1, true],
    ]);
    const once = ranked([
      [0, true],
      [1, false],
      [0, false],
      [1, true],
    ]);
    expect(averagePrecision(once, [1, 2], [2, 1], [0])).toBeCloseTo(
      averagePrecision(twice, [1, 2, 1], [1, 1, 1], [0]),
      12,
    );
  });
});

describe('a paired bootstrap', () => {
  const random = mulberry32(7);
  const list = (chance: number): [number, boolean][] =>
    Array.from({ length: 400 }, (_, i) => [Math.floor(random() * 60), random() < chance * (1 - i / 400)]);
  const positives = new Uint32Array(60).fill(5);

  it('finds no difference between a model and itself, whatever the draw', () => {
    const model = ranked(list(0.9));
    expect(pairedBootstrap(model, model, positives, { ...AP50, draws: 200 })).toMatchObject({
      mean: 0,
      low: 0,
      high: 0,
    });
  });

  it('tells a clearly better model, is the same for the same seed, and swaps its sign with its models', () => {
    const [good, bad] = [ranked(list(0.95)), ranked(list(0.4))];
    const found = pairedBootstrap(good, bad, positives, { ...AP50, draws: 300, seed: 3 });
    expect(found.low).toBeGreaterThan(0);
    expect(found.mean).toBeCloseTo(found.difference, 1);
    expect(pairedBootstrap(good, bad, positives, { ...AP50, draws: 300, seed: 3 })).toEqual(found);
    const swapped = pairedBootstrap(bad, good, positives, { ...AP50, draws: 300, seed: 3 });
    expect(swapped.high).toBeCloseTo(-found.low, 12);
  });

  it('refuses pictures without objects', () => {
    expect(() => pairedBootstrap(ranked([]), ranked([]), [0, 0], AP50)).toThrow(RangeError);
  });
});

describe('order statistics and the verdict', () => {
  it('interpolate between neighbours', () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(quantile([0, 10], 0.25)).toBe(2.5);
    const ranks = Array.from({ length: 100 }, (_, i) => i);
    expect(medianInterval(ranks)).toEqual({ low: 40, high: 59 });
    expect(medianInterval([2])).toEqual({ low: 2, high: 2 });
  });

  it('hold to the limits: significance, 0.3 points in the mean, 5 % of time', () => {
    const time = { ratio: 1.05 };
    expect(verdict({ ap: { mean: -0.003, high: 0 }, time }).passed).toBe(true);
    expect(verdict({ ap: { mean: -0.0031, high: 0.01 }, time })).toMatchObject({
      meanWithinLimit: false,
      passed: false,
    });
    expect(verdict({ ap: { mean: -0.001, high: -0.0001 }, time }).notSignificantlyBelow).toBe(false);
    expect(verdict({ ap: { mean: 0.1, high: 0.2 }, time: { ratio: 1.051 } }).timeWithinLimit).toBe(false);
  });

  it('stand in a table with a row per model', () => {
    const difference = { first: 0.5, second: 0.4, mean: 0.1, low: 0.05, high: 0.15 };
    const result = {
      model: 'M 1',
      calibration: 'minmax',
      ap: difference,
      ap50: difference,
      againstFloat: { ap: difference, ap50: difference },
      bytes: { float: 4000, ours: 1000, python: 1100 },
      time: { ratio: 0.9, low: 0.8, high: 1 },
      verdict: { passed: true },
      python: { onnxruntime: '1', onnx: '1' },
      pythonMethods: [
        { name: 'MinMax', ap: 0.3, ap50: 0.35 },
        { name: 'Percentile 99.99', ap: 0.4, ap50: 0.4 },
      ],
      pythonBest: 'Percentile 99.99',
      withBlock: { layers: ['a', 'b'], share: 0.16, ap: 0.55, ap50: 0.6, ratio: 1.13 },
    };
    const table = markdownTable({
      dataset: 'D',
      calibrationPictures: 3,
      quick: false,
      cpu: 'C',
      node: 'v1',
      results: [result],
    });
    expect(table).toContain(
      '| M 1 | 40.0 / 40.0 | MinMax 30.0 / 35.0, **Percentile 99.99 40.0 / 40.0** | minmax 50.0 / 50.0 | +10.00 (+5.00 .. +15.00) |',
    );
    expect(table).toContain('M 1 with `a`, `b` in float (--float-share 0.16): AP / AP50 55.0 / 60.0, time 1.13');
  });
});
