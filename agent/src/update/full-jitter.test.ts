import { expect, it } from 'vitest';
import { fullJitterMs } from './full-jitter.js';

it('fullJitterMs draws from nothing to a bound that doubles up to the longest', () => {
  const bounds = { first: 100, longest: 1000 };
  expect([0, 1, 2, 3, 4, 99].map((attempt) => fullJitterMs(attempt, bounds, 0.9999))).toEqual([
    99, 199, 399, 799, 999, 999,
  ]);
  expect(fullJitterMs(5, bounds, 0)).toBe(0);
  expect(fullJitterMs(2, bounds, 0.5)).toBe(200);
});
