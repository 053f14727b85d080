import { expect, it } from 'vitest';
import { affordableBoards } from './memory-share.js';

it('takes all boards where the memory suffices, and says why where it does not', () => {
  expect(affordableBoards(50, 'MemTotal: 1 kB\nMemAvailable:   24000000 kB\n')).toEqual({ boards: 50, reduced: null });
  const few = affordableBoards(50, 'MemAvailable:   4096000 kB\n');
  expect(few.boards).toBe(16);
  expect(few.reduced).toContain('16 boards instead of 50: 4000 MiB');
  expect(affordableBoards(50, '').boards).toBe(1);
});
