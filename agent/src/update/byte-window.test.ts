import { describe, expect, it } from 'vitest';
import { ByteWindow } from './byte-window.js';

const KIB = 1024;

/** How much fits beside nothing. */
function room(window: ByteWindow): number {
  let bytes = 0;
  let pieces = 0;
  for (; window.fits(16 * KIB, bytes, pieces); pieces += 1) bytes += 16 * KIB;
  return bytes;
}

describe('ByteWindow', () => {
  it('begins with 64 KiB and always lets one piece through', () => {
    expect(room(new ByteWindow())).toBe(64 * KIB);
    expect(new ByteWindow({ first: 10, least: 10, most: 10, pieces: 1 }).fits(65_536, 0, 0)).toBe(true);
  });

  it('grows to its bound of pieces while answers come quickly, and shrinks where they take long', () => {
    const window = new ByteWindow();
    for (let i = 0; i < 100; i += 1) window.answered(16 * KIB, 20);
    expect(room(window)).toBe(32 * 16 * KIB);
    for (let i = 0; i < 300; i += 1) window.answered(16 * KIB, 2000);
    expect(room(window)).toBe(64 * KIB);
  });

  it('asks again when half of it is free', () => {
    const window = new ByteWindow();
    expect(window.low(48 * KIB, 3)).toBe(false);
    expect(window.low(32 * KIB, 2)).toBe(true);
  });

  it('begins small again after a break', () => {
    const window = new ByteWindow();
    for (let i = 0; i < 100; i += 1) window.answered(16 * KIB, 20);
    window.broken();
    expect(room(window)).toBe(64 * KIB);
  });
});
