import { completeSpec, type RolloutRequest } from '@vigie/fleet-server/rollout/spec';
import { seededRandom } from '@vigie/protocol';
import { describe, expect, it } from 'vitest';
import { type Nature, SimulatedFleet } from './simulated-fleet.js';

const HOUR = 3_600_000;
/** A Monday; the simulated fleet begins then. */
const EIGHT = Date.UTC(2026, 0, 5, 8);
const TICK_MS = 60_000;

const good: Nature = {
  ...{ outcome: 'good', ticks: 1, offline: 0, hardwareClass: 'pi5', timeZone: null, bornAt: 0 },
  ...{ revokedAt: null, takenAt: null },
};

function fleetOf(changes: Partial<RolloutRequest>, natures: Nature[]): SimulatedFleet {
  const spec = completeSpec({
    ...{ release: { name: 'm', version: '2.0.0' }, selector: {}, follow: false },
    waves: [{ name: 'all', size: { share: 1 }, soakSeconds: 0, deadlineSeconds: 1800 }],
    ...changes,
  });
  const fleet = new SimulatedFleet(spec, natures, seededRandom(1), TICK_MS);
  fleet.command({ kind: 'start' });
  return fleet;
}

/** Hours after eight at which this first holds. */
function hoursUntil(fleet: SimulatedFleet, holds: () => boolean): number {
  for (let tick = 0; tick < 5000 && !holds(); tick += 1) fleet.advance();
  expect(holds(), fleet.decisions.map(({ text }) => text).join('\n')).toBe(true);
  return Math.round(((fleet.now - EIGHT) / HOUR) * 10) / 10;
}

describe('deadlines and maintenance windows', () => {
  const night = [{ from: '22:00', to: '03:00' }];

  it('a wave that opens in the morning waits for the night, whatever its deadline', () => {
    const fleet = fleetOf({ windows: night }, [good, good]);
    expect(hoursUntil(fleet, () => fleet.ended)).toBeLessThan(14.3);
    expect([fleet.rollout.state, fleet.now - EIGHT > 14 * HOUR]).toEqual(['succeeded', true]);
  });

  it('the deadline of a wave passes once its windows were open for so long', () => {
    const silent = { ...good, offline: 1 };
    const state = (fleet: SimulatedFleet) => fleet.rollout.progress.reason?.code;
    const always = fleetOf({}, [good, silent, silent]);
    expect(hoursUntil(always, () => state(always) === 'TOO_FEW_REACHED')).toBe(0.5);
    const nightly = fleetOf({ windows: night }, [good, silent, silent]);
    expect(hoursUntil(nightly, () => state(nightly) === 'TOO_FEW_REACHED')).toBeCloseTo(14.5, 0);
    expect(nightly.rollout.state).toBe('paused');
    // Two nights, where one is not enough.
    const waves = [{ name: 'all', size: { share: 1 }, soakSeconds: 0, deadlineSeconds: 6 * 3600 }];
    const longer = fleetOf({ windows: night, waves }, [good, silent, silent]);
    expect(hoursUntil(longer, () => state(longer) === 'TOO_FEW_REACHED')).toBeCloseTo(39, 0);
  });

  it('so does the deadline of the whole rollout', () => {
    const silent = { ...good, offline: 1 };
    const fleet = fleetOf({ windows: night, deadlineSeconds: 7200 }, [silent]);
    expect(hoursUntil(fleet, () => fleet.ended)).toBeCloseTo(16, 0);
    expect(fleet.rollout.state).toBe('expired');
    expect(fleet.rollout.progress.reason?.text).toContain('closed windows not counted');
  });

  it('a board at work when its window closes has its whole time', () => {
    const slow = { ...good, ticks: 50 };
    const waves = [{ name: 'all', size: { share: 1 }, soakSeconds: 0, deadlineSeconds: 2000 }];
    const fleet = fleetOf({ windows: [{ from: '08:00', to: '08:30' }], waves }, [slow]);
    expect(hoursUntil(fleet, () => fleet.ended)).toBeLessThan(1.5);
    expect([fleet.rollout.state, [...fleet.members.values()][0].attempt]).toEqual(['succeeded', 1]);
    const always = fleetOf({ waves }, [slow]);
    hoursUntil(always, () => always.rollout.state !== 'running');
    expect([...always.members.values()][0].state).toBe('timed-out');
  });
});
