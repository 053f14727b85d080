import { describe, expect, it } from 'vitest';
import { floatToHalf, halfToFloat } from './float16.js';

describe('half precision', () => {
  it('keeps every number there and back', () => {
    for (let half = 0; half < 0x10000; half++) {
      const value = halfToFloat(half);
      if (Number.isNaN(value)) expect(halfToFloat(floatToHalf(value))).toBeNaN();
      else if (floatToHalf(value) !== half) expect.fail(`${half} became ${floatToHalf(value)}`);
    }
  });

  it.each([
    [1, 0x3c00],
    [-2, 0xc000],
    [65504, 0x7bff],
    [0.333251953125, 0x3555],
    [2 ** -24, 0x0001],
  ])('is the standard one for %d', (value, half) => {
    expect(floatToHalf(value)).toBe(half);
    expect(halfToFloat(half)).toBe(value);
  });

  it('rounds to the nearest, ties to even, and beyond its range to infinity', () => {
    expect(halfToFloat(floatToHalf(1 + 2 ** -11))).toBe(1);
    expect(halfToFloat(floatToHalf(1 + 3 * 2 ** -11))).toBe(1 + 2 ** -9);
    expect(halfToFloat(floatToHalf(2 ** -25))).toBe(0);
    expect(halfToFloat(floatToHalf(1.01 * 2 ** -25))).toBe(2 ** -24);
    expect(halfToFloat(floatToHalf(65519))).toBe(65504);
    expect(halfToFloat(floatToHalf(65520))).toBe(Infinity);
    expect(halfToFloat(floatToHalf(-1e9))).toBe(-Infinity);
  });
});
