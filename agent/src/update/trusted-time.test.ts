import { beforeEach, expect, test } from 'vitest';
import { TrustedTime } from './trusted-time.js';

const BUILT = Date.parse('2026-11-21T00:00:00Z');
const HOUR = 3_600_000;
const YEAR = 365 * 24 * HOUR;

let monotonic: number;
let wall: number;
let synchronised: boolean | null;
let time: TrustedTime;

beforeEach(() => {
  monotonic = 1000;
  wall = BUILT + 30 * 24 * HOUR;
  synchronised = null;
  time = new TrustedTime({ now: () => monotonic, wall: () => wall, synchronised: () => synchronised }, [BUILT, 0]);
});

test('a wall clock that does not contradict what is proven is believed', () => {
  expect(time.believed()).toEqual({ ms: wall, trusted: true });
  synchronised = true;
  expect(time.believed()).toEqual({ ms: wall, trusted: true });
});

test('a clock ten years back: the build time, then the newest signed moment and the time since', () => {
  wall -= 10 * YEAR;
  expect(time.believed()).toEqual({ ms: BUILT, trusted: false });
  expect(time.prove(BUILT + 5 * HOUR)).toBe(true);
  monotonic += HOUR;
  expect(time.believed()).toEqual({ ms: BUILT + 6 * HOUR, trusted: false });
  expect(time.prove(BUILT + 2 * HOUR), 'an older signature is no news').toBe(false);
  expect(time.believed().ms).toBe(BUILT + 6 * HOUR);
});

test('a clock ten years ahead is not believed when the system says that it was never set', () => {
  wall += 10 * YEAR;
  synchronised = false;
  expect(time.believed()).toEqual({ ms: BUILT, trusted: false });
});

test('a clock ten years ahead that claims to be set is believed, and leaves nothing behind', () => {
  const right = wall;
  wall += 10 * YEAR;
  synchronised = true;
  expect(time.believed()).toEqual({ ms: wall, trusted: true });
  time.prove(BUILT + HOUR);
  wall = right;
  expect(time.believed()).toEqual({ ms: right, trusted: true });
  expect(time.floor).toBe(BUILT + HOUR);
});

test('a little behind a signed moment is only skew', () => {
  time.prove(wall + 60_000);
  expect(time.believed()).toEqual({ ms: wall + 60_000, trusted: true });
  time.prove(wall + HOUR);
  expect(time.believed()).toEqual({ ms: wall + HOUR, trusted: false });
});

test('a signature from the far future proves nothing to a synchronised clock, and something to any other', () => {
  synchronised = true;
  expect(time.prove(wall + YEAR)).toBe(false);
  expect(time.believed()).toEqual({ ms: wall, trusted: true });
  synchronised = null;
  expect(time.prove(wall + YEAR)).toBe(true);
  expect(time.believed().trusted).toBe(false);
});

test('nonsense proves nothing', () => {
  for (const ms of [Number.NaN, Number.POSITIVE_INFINITY, -1, 0]) expect(time.prove(ms)).toBe(false);
});
