import { describe, expect, it } from 'vitest';
import { retryAfterMs } from './retry-after.js';

const NOW = Date.parse('2026-11-21T07:00:00Z');

describe('retryAfterMs', () => {
  it.each([
    ['0', 0],
    ['120', 120_000],
    ['Sat, 21 Nov 2026 07:00:30 GMT', 30_000],
    ['Saturday, 21-Nov-26 07:00:30 GMT', 30_000],
    ['Sat, 21 Nov 2026 06:00:00 GMT', 0],
  ])('%s is %i ms', (text, ms) => {
    expect(retryAfterMs(text, NOW)).toBe(ms);
  });

  it.each([undefined, '', '-1', '1.5', 'soon', '21 Nov 2026', '99999999999', 'Sat, 99 Nov 2026 07:00:30 GMT'])(
    '%s says nothing',
    (text) => {
      expect(retryAfterMs(text, NOW)).toBeNull();
    },
  );
});
