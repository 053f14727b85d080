import { expect, it } from 'vitest';
import { ManualClock } from '../../test/manual-clock.js';
import { RespawnBackoff } from './respawn-backoff.js';

function delays(backoff: RespawnBackoff, count: number, before: () => void = () => {}): number[] {
  return Array.from({ length: count }, () => {
    before();
    return backoff.nextMs();
  });
}

it('a model that loads is never away for long, however often it dies', () => {
  const backoff = new RespawnBackoff(new ManualClock());
  expect(delays(backoff, 7, () => backoff.started())).toEqual([0, 500, 1000, 2000, 2000, 2000, 2000]);
});

it('a model that does not load is tried more and more seldom', () => {
  const backoff = new RespawnBackoff(new ManualClock());
  expect(delays(backoff, 11)).toEqual([0, 500, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000]);
  backoff.started();
  expect(backoff.nextMs()).toBe(2000);
});

it('a child that lived for a minute was well', () => {
  const clock = new ManualClock();
  const backoff = new RespawnBackoff(clock);
  delays(backoff, 6);
  backoff.started();
  clock.advance(60_000);
  expect(backoff.nextMs()).toBe(0);
});
