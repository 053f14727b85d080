import { describe, expect, it } from 'vitest';
import { activationParameters, coarseScale, quantizeConvWeights, roundHalfToEven, WEIGHT_LIMIT } from './arithmetic.js';

describe('activation parameters', () => {
  it('contain the range and give zero a level of its own', () => {
    for (const range of [
      { min: -3.7, max: 9.1 },
      { min: 0, max: 0.013 },
      { min: -250, max: -3 },
      { min: 4, max: 5 },
    ]) {
      const { scale, zeroPoint } = activationParameters(range);
      expect(Number.isInteger(zeroPoint)).toBe(true);
      expect((255 - zeroPoint) * scale).toBeGreaterThanOrEqual(range.max - scale / 2);
      expect(-zeroPoint * scale).toBeLessThanOrEqual(range.min + scale / 2);
      expect(Math.fround(scale)).toBe(scale);
    }
  });

  it('put the zero point of a ReLU output at 0, where the ReLU itself can be dropped', () => {
    expect(activationParameters({ min: 0, max: 6 }).zeroPoint).toBe(0);
  });

  it('survive a tensor that is always zero', () => {
    expect(activationParameters({ min: 0, max: 0 })).toEqual({ scale: 1, zeroPoint: 0 });
  });
});

it('coarse scales are never smaller, at most 1/128 larger, and equal for values that differ in their last bits', () => {
  for (const scale of [1 / 3, 0.0271, 5e-5, 17.3, 0.25]) {
    expect(coarseScale(scale)).toBeGreaterThanOrEqual(scale);
    expect(coarseScale(scale)).toBeLessThanOrEqual(scale * (1 + 1 / 128));
    expect(coarseScale(scale * (1 - 1e-7))).toBe(coarseScale(scale));
  }
  expect(coarseScale(0.25)).toBe(0.25);
});

describe('weights of a convolution', () => {
  it('are symmetric per output channel, the largest at the limit, the bias in units of the accumulator', () => {
    const weights = Float32Array.of(0.5, -1, 0.25, 8, 2, -4);
    const { values, scales, bias } = quantizeConvWeights(weights, 2, Float32Array.of(3, -6), 0.5, 64);
    expect([...values]).toEqual([32, -64, 16, 64, 16, -32]);
    expect([...scales]).toEqual([1 / 64, 1 / 8]);
    // 3 / (0.5 / 64) and -6 / (0.5 / 8)
    expect([...bias]).toEqual([384, -96]);
  });

  it('keep a large bias beside tiny weights inside int32', () => {
    const { bias, scales } = quantizeConvWeights(Float32Array.of(1e-9), 1, Float32Array.of(100), 0.01, 64);
    expect(bias[0] * 0.01 * scales[0]).toBeCloseTo(100, 4);
  });

  it('of a channel that is all zero stay zero', () => {
    const { values, bias } = quantizeConvWeights(new Float32Array(4), 2, undefined, 1, 127);
    expect([...values, ...bias]).toEqual([0, 0, 0, 0, 0, 0]);
  });

  it('of the portable target cannot saturate a 16-bit pair sum of u8 × s8', () => {
    expect(2 * 255 * WEIGHT_LIMIT.portable).toBeLessThanOrEqual(32767);
    expect(2 * 255 * WEIGHT_LIMIT.x64).toBeGreaterThan(32767);
  });
});

it('rounds halves to even, as QuantizeLinear does', () => {
  expect([0.5, 1.5, 2.5, -0.5, -1.5, 2.4, -2.6].map((x) => roundHalfToEven(x) + 0)).toEqual([0, 2, 2, 0, -2, 2, -3]);
});
