import { describe, expect, it } from 'vitest';
import { AIMED_PHASES, laneQuotas, type Strike, strikeOf } from './plan.js';

const lane = (seed: number, number: number, count: number): Strike[] =>
  Array.from({ length: count }, (_, index) => strikeOf(seed, number, index));

describe('the schedule of kills', () => {
  it('is the same for the same seed, another for another seed and another lane', () => {
    expect(lane(7, 1, 50)).toEqual(lane(7, 1, 50));
    expect(lane(7, 1, 50)).not.toEqual(lane(8, 1, 50));
    expect(lane(7, 1, 50)).not.toEqual(lane(7, 2, 50));
  });

  it('strikes only the server on the first lane, agents and children on the others', () => {
    expect(new Set(lane(1, 0, 100).map(({ victim }) => victim))).toEqual(new Set(['server']));
    const boards = lane(1, 1, 400).map(({ victim }) => victim);
    expect(boards.filter((victim) => victim === 'agent').length).toBeGreaterThan(200);
    expect(boards.filter((victim) => victim === 'child').length).toBeGreaterThan(80);
  });

  it('aims at every phase, at journal writes, at starts and at no phase at all', () => {
    const aims = lane(3, 2, 1000)
      .filter(({ victim }) => victim === 'agent')
      .map(({ aim }) => (aim.kind === 'phase' ? aim.phase : aim.kind));
    for (const wanted of [...AIMED_PHASES, 'time', 'journal-write', 'start']) {
      expect(aims.filter((aim) => aim === wanted).length, wanted).toBeGreaterThan(15);
    }
  });

  it('shares out all kills, whatever their number', () => {
    for (const kills of [1, 3, 40, 1000]) {
      expect(laneQuotas(kills, 3).reduce((sum, quota) => sum + quota, 0)).toBe(kills);
    }
    expect(laneQuotas(1000, 3)).toEqual([120, 294, 293, 293]);
  });
});
