import { describe, expect, it } from 'vitest';
import { type BoardDelivery, monthOf, planDelivery, startDelayMs } from './delivery.js';

const board = (more: Partial<BoardDelivery> = {}): BoardDelivery => ({
  transport: 'auto',
  maxBytesPerSecond: 0,
  monthlyBytes: 0,
  metered: false,
  ...more,
});
const both = ['mqtt', 'https'] as const;
const codeOf = (run: () => unknown) => {
  try {
    run();
  } catch (error) {
    return (error as { code: string }).code;
  }
  return 'none';
};

describe('planDelivery', () => {
  it('tries MQTT, then HTTPS, unless somebody says otherwise', () => {
    expect(planDelivery(board(), {}, both).transports).toEqual(['mqtt', 'https']);
    expect(planDelivery(board(), { transport: 'https' }, both).transports).toEqual(['https']);
    expect(planDelivery(board({ transport: 'https' }), {}, both).transports).toEqual(['https']);
    expect(planDelivery(board(), {}, ['mqtt']).transports).toEqual(['mqtt']);
  });

  it('never does what the board forbids', () => {
    const plan = () => planDelivery(board({ transport: 'mqtt' }), { transport: 'https' }, both);
    expect(codeOf(plan)).toBe('DOWNLOAD_REFUSED');
    expect(codeOf(() => planDelivery(board(), { transport: 'https' }, ['mqtt']))).toBe('DOWNLOAD_REFUSED');
  });

  it('takes the stricter of two limits', () => {
    const rate = (own: number, asked?: number) =>
      planDelivery(board({ maxBytesPerSecond: own }), { maxBytesPerSecond: asked }, both).maxBytesPerSecond;
    expect([rate(0), rate(5000), rate(0, 2000), rate(5000, 2000), rate(2000, 5000)]).toEqual([
      null,
      5000,
      2000,
      2000,
      2000,
    ]);
    expect(planDelivery(board({ monthlyBytes: 10 }), { maxBytes: 0 }, both)).toMatchObject({
      monthlyBytes: 10,
      maxBytes: 0,
    });
  });

  it('goes no other way by itself where each byte costs', () => {
    expect(planDelivery(board({ metered: true }), {}, both).transports).toEqual(['mqtt']);
    expect(planDelivery(board({ metered: true }), { transport: 'https' }, both).transports).toEqual(['https']);
  });
});

describe('startDelayMs', () => {
  const order = (generation: number, jitterSeconds?: number) => ({
    generation,
    issuedAt: 1_000_000,
    policy: { jitterSeconds },
  });

  it('spreads a fleet evenly, and each generation anew', () => {
    const delays = Array.from({ length: 1000 }, (_, i) => startDelayMs(`board-${i}`, order(1, 100), 1_000_000));
    expect(Math.max(...delays)).toBeLessThan(100_000);
    expect(Math.min(...delays)).toBeGreaterThanOrEqual(0);
    const tenths = Array.from({ length: 10 }, (_, i) => delays.filter((d) => Math.floor(d / 10_000) === i).length);
    expect(Math.min(...tenths)).toBeGreaterThan(60);
    expect(startDelayMs('board-1', order(2, 100), 1_000_000)).not.toBe(delays[1]);
  });

  it('goes on after a restart where it was, and is over when its time has passed', () => {
    const whole = startDelayMs('board-1', order(1, 100), 1_000_000);
    expect(startDelayMs('board-1', order(1, 100), 1_000_000 + whole - 5)).toBe(5);
    expect(startDelayMs('board-1', order(1, 100), 1_000_000 + whole + 5)).toBe(0);
    expect(startDelayMs('board-1', order(1), 1_000_000)).toBe(0);
  });

  it('is no longer than its share on a board whose clock is years behind', () => {
    expect(startDelayMs('board-1', order(1, 100), 0)).toBe(startDelayMs('board-1', order(1, 100), 1_000_000));
  });
});

it('monthOf is the calendar month in UTC', () => {
  expect(monthOf(Date.parse('2026-11-30T23:59:59Z'))).toBe('2026-11');
  expect(monthOf(Date.parse('2026-12-01T00:00:00Z'))).toBe('2026-12');
});
