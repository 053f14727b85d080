import { expect, it } from 'vitest';
import { observeTrust } from './trust-observations.js';

const DAY = 86_400_000;
const now = new Date('2026-11-21T12:00:00.000Z');
const state = (leftMs: number, lifetimeMs: number | null) =>
  observeTrust([{ name: 'tuf/x', endsAt: new Date(now.getTime() + leftMs), lifetimeMs }], 14, now)[0].state;

it('is quiet about what lives shortly and is signed anew in time', () => {
  expect([state(DAY, DAY), state(DAY / 2, DAY), state(3.5 * DAY, 7 * DAY)]).toEqual(['fine', 'fine', 'fine']);
});

it('tells of what was not signed anew, and of what ends within the threshold', () => {
  expect([state(DAY / 4, DAY), state(2 * DAY, 7 * DAY)]).toEqual(['firing', 'firing']);
  expect([state(13 * DAY, 90 * DAY), state(15 * DAY, 90 * DAY)]).toEqual(['firing', 'fine']);
  expect([state(13 * DAY, null), state(15 * DAY, null)]).toEqual(['firing', 'fine']);
});
