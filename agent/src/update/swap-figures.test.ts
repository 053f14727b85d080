import { expect, test } from 'vitest';
import { type ResultMark, swapReport } from './swap-figures.js';

const every = (ms: number, from: number, count: number, step = 1): ResultMark[] =>
  Array.from({ length: count }, (_, i) => ({ sequence: from + i * step, doneAt: (from + i * step) * ms }));

test('a swap without a missed frame', () => {
  const report = swapReport({
    steady: every(50, 0, 100),
    window: every(50, 100, 40),
    assignedAt: 4900,
    firstResultAt: 5600,
  });
  expect(report).toEqual({ framesMissed: 0, longestGapMs: 50, steadyGapP99Ms: 50, durationMs: 700 });
});

test('counts frames between the last steady result and the first of the window too', () => {
  const report = swapReport({ steady: every(50, 0, 100), window: every(50, 104, 10), assignedAt: 0, firstResultAt: 1 });
  expect(report.framesMissed).toBe(4);
  expect(report.longestGapMs).toBe(250);
});

test('does not blame the swap for frames that are dropped steadily', () => {
  const report = swapReport({
    steady: every(50, 0, 100, 2),
    window: every(50, 200, 20, 2),
    assignedAt: 0,
    firstResultAt: 1,
  });
  expect(report.framesMissed).toBe(0);
});

test('without any results there is nothing to count', () => {
  expect(swapReport({ steady: [], window: [], assignedAt: 0, firstResultAt: 5 }).framesMissed).toBe(0);
  const first = swapReport({ steady: [], window: every(50, 7, 3), assignedAt: 0, firstResultAt: 5 });
  expect(first.framesMissed).toBe(0);
});
