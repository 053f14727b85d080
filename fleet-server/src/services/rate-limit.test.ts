import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { networkOf, RateLimit } from './rate-limit.js';

describe('a rate limit', () => {
  it('lets a burst through, then as many as come back, and says when', () => {
    let at = 0;
    const limit = new RateLimit(2, 5, () => at);
    expect(Array.from({ length: 7 }, () => limit.take('a'))).toEqual([0, 0, 0, 0, 0, 1, 1]);
    expect(limit.take('b')).toBe(0);
    at += 500;
    expect([limit.take('a'), limit.take('a')]).toEqual([0, 1]);
    at += 60_000;
    expect(Array.from({ length: 6 }, () => limit.take('a')).filter((wait) => wait === 0)).toHaveLength(5);
  });

  it('never lets more through than burst + rate × time, whatever the times', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 400 }), { maxLength: 200 }), (pauses) => {
        let at = 0;
        let passed = 0;
        const limit = new RateLimit(3, 4, () => at);
        for (const pause of pauses) {
          at += pause;
          if (limit.take('x') === 0) passed += 1;
        }
        expect(passed).toBeLessThanOrEqual(4 + (3 * at) / 1000);
      }),
    );
  });

  it('keeps a bounded number of keys, those that asked last', () => {
    const limit = new RateLimit(1, 1, () => 0, 3);
    for (const key of ['a', 'b', 'c', 'a', 'd']) limit.take(key);
    expect(limit.size).toBe(3);
    expect([limit.take('a'), limit.take('b')]).toEqual([1, 0]);
  });

  it('takes a network of IPv6 as one', () => {
    expect(networkOf('2001:db8:1:2:3:4:5:6')).toBe(networkOf('2001:db8:1:2::ffff'));
    expect(networkOf('2001:db8:1:2:3:4:5:6')).not.toBe(networkOf('2001:db8:1:3::1'));
    expect([networkOf('10.0.0.1'), networkOf('::ffff:10.0.0.1')]).toEqual(['10.0.0.1', '10.0.0.1']);
  });
});
