import { describe, expect, it } from 'vitest';
import { TokenBucket } from './token-bucket.js';

describe('TokenBucket', () => {
  it('lets its burst pass at once, then holds to its rate', () => {
    const bucket = new TokenBucket(1000, 0);
    expect(bucket.take(1000, 0)).toBe(0);
    expect(bucket.take(500, 0)).toBe(500);
    expect(bucket.take(500, 0)).toBe(1000);
    // The thousand that is owed has come in; the next must wait for its own.
    expect(bucket.take(1, 1000)).toBe(1);
  });

  it('saves no more than its burst while nobody takes', () => {
    const bucket = new TokenBucket(1000, 0);
    expect(bucket.take(1000, 3_600_000)).toBe(0);
    expect(bucket.take(1000, 3_600_000)).toBe(1000);
  });

  it('gives more than the burst in one piece, for a longer wait', () => {
    const bucket = new TokenBucket(1000, 0);
    expect(bucket.take(65_536, 0)).toBe(64_536);
  });

  it('passes no more than rate and burst over any time', () => {
    const bucket = new TokenBucket(4096, 0);
    let now = 0;
    let passed = 0;
    while (now < 60_000) {
      now += bucket.take(1500, now);
      passed += 1500;
    }
    expect(passed).toBeLessThanOrEqual(4096 * 61 + 1500);
    expect(passed).toBeGreaterThan(4096 * 59);
  });
});
