import { describe, expect, it } from 'vitest';
import { renewalDueAt, waitAfterFailure, waitForRenewal } from './renewal-schedule.js';

const DAY = 86_400_000;
const HOUR = 3_600_000;
const year = { from: 1000 * DAY, to: 1360 * DAY };

describe('renewal', () => {
  it('is due after two thirds of the life, at the latest after three quarters', () => {
    expect(renewalDueAt(year, 0)).toBe(1240 * DAY);
    expect(renewalDueAt(year, 1)).toBeCloseTo(1270 * DAY);
  });

  it('is awaited in steps of an hour, and at once when it is due or the end is past', () => {
    expect(waitForRenewal(year, 0, 1001 * DAY)).toBe(HOUR);
    expect(waitForRenewal(year, 0, 1240 * DAY - 5)).toBe(5);
    expect(waitForRenewal(year, 0, 1240 * DAY)).toBe(0);
    expect(waitForRenewal(year, 0, 9999 * DAY)).toBe(0);
  });

  it('is not due for a board whose clock was lost', () => {
    expect(waitForRenewal(year, 0, 0)).toBe(HOUR);
  });

  it('is tried again with growing, spread waits that have an end', () => {
    expect(waitAfterFailure(1, 0)).toBe(15_000);
    expect(waitAfterFailure(1, 1)).toBe(45_000);
    expect(waitAfterFailure(3, 1)).toBe(135_000);
    expect(waitAfterFailure(1000, 1)).toBe(6 * HOUR + 15_000);
  });
});
