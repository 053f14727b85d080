import { describe, expect, it } from 'vitest';
import { isNewer } from './ordering.js';

describe('isNewer', () => {
  it('takes the first message and then only higher sequences of the same boot', () => {
    expect(isNewer(null, { bootId: 'a', sequence: 0 })).toBe(true);
    expect(isNewer({ bootId: 'a', sequence: 4 }, { bootId: 'a', sequence: 5 })).toBe(true);
    expect(isNewer({ bootId: 'a', sequence: 4 }, { bootId: 'a', sequence: 4 })).toBe(false);
    expect(isNewer({ bootId: 'a', sequence: 4 }, { bootId: 'a', sequence: 3 })).toBe(false);
  });

  it('takes a new boot and never an old one again', () => {
    expect(isNewer({ bootId: 'a', sequence: 90 }, { bootId: 'b', sequence: 1 })).toBe(true);
    expect(isNewer({ bootId: 'b', sequence: 1 }, { bootId: 'a', sequence: 91 }, new Set(['a']))).toBe(false);
  });
});
