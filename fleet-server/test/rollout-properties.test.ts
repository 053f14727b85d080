import type { RolloutCommand } from '@vigie/fleet-server/rollout/commands';
import { completeSpec, type RolloutRequest } from '@vigie/fleet-server/rollout/spec';
import { step } from '@vigie/fleet-server/rollout/step';
import { seededRandom } from '@vigie/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Nature, SimulatedFleet } from './simulated-fleet.js';

const TICK_SECONDS = 20;
const DEADLINE_SECONDS = 4 * 3600;
/** The rollout's own deadline, a week of closed windows in long ticks, then turning back, then some ticks for the last words. */
const ENDS_WITHIN = (DEADLINE_SECONDS + 1200) / TICK_SECONDS + 7 * 24 * 4 + 100;

type Outcome = Nature['outcome'];

const nature: fc.Arbitrary<Nature> = fc.record({
  outcome: fc.oneof(
    { weight: 6, arbitrary: fc.constant('good' as const) },
    { weight: 4, arbitrary: fc.constantFrom('bad', 'later', 'cannot', 'stuck', 'regresses') as fc.Arbitrary<Outcome> },
  ),
  ticks: fc.integer({ min: 0, max: 8 }),
  offline: fc.constantFrom(0, 0, 0.2, 0.7, 1),
  hardwareClass: fc.constantFrom('pi4', 'pi5', 'unknown'),
  timeZone: fc.constantFrom(null, 'Europe/Paris', 'Asia/Kolkata', 'America/New_York'),
  bornAt: fc.constantFrom(0, 0, 0, 30),
  revokedAt: fc.option(fc.integer({ min: 1, max: 100 }), { freq: 8 }),
  takenAt: fc.option(fc.integer({ min: 1, max: 100 }), { freq: 8 }),
});

const request = fc.record({
  concurrency: fc.integer({ min: 1, max: 6 }),
  startsPerMinute: fc.option(fc.integer({ min: 1, max: 5 }), { nil: undefined }),
  autoRollback: fc.boolean(),
  follow: fc.boolean(),
  errorCount: fc.integer({ min: 0, max: 3 }),
  errorShare: fc.option(fc.constantFrom(0, 0.2, 0.5), { nil: undefined }),
  soakSeconds: fc.constantFrom(0, 60),
  windows: fc.constantFrom<NonNullable<RolloutRequest['windows']>[]>(
    [],
    [{ from: '08:00', to: '18:00' }],
    [{ days: ['mon' as const], from: '22:00', to: '03:00' }],
  ),
  canary: fc.integer({ min: 1, max: 4 }),
  minReachedShare: fc.constantFrom(0, 0.3, 0.9),
  successShare: fc.constantFrom(0, 0.95),
  approval: fc.constantFrom('none' as const, 'none' as const, 'anyone' as const),
  /** Of two releases; what the simulated boards measure lets B win. */
  compared: fc.constantFrom(null, null, 'winner' as const, 'ask' as const),
  gate: fc.constantFrom<NonNullable<RolloutRequest['gates']>[]>(
    [],
    [],
    [{ metric: 'fps', of: 'ratio', min: 0.5, minDevices: 1 }],
    [{ metric: 'fps', of: 'ratio', min: 1.1, minDevices: 2 }],
  ),
});

const COMMANDS: RolloutCommand[] = [
  { kind: 'pause' },
  { kind: 'resume' },
  { kind: 'resume', accept: true },
  { kind: 'approve' },
  { kind: 'approve', winner: 'A' },
  { kind: 'abort' },
  { kind: 'rollback' },
  { kind: 'retry' },
];
/** What an operator says, and when. */
const orders = (kinds: readonly RolloutCommand['kind'][]) =>
  fc.array(
    fc.record({
      tick: fc.integer({ min: 1, max: 300 }),
      command: fc.constantFrom(...COMMANDS.filter(({ kind }) => kinds.includes(kind))),
    }),
    { maxLength: 8 },
  );

const ERROR_MINIMUM = 4;
const COMPARISON = {
  ...{ release: { name: 'm', version: '3.0.0' }, seconds: 60, minDevices: 2, confidence: 0.9 },
  metric: 'fps' as const,
  better: 'higher' as const,
};

type Wishes = typeof request extends fc.Arbitrary<infer T> ? T : never;

function specOf(given: Wishes) {
  const { errorCount, errorShare, soakSeconds, canary, minReachedShare, approval, successShare, compared, gate } =
    given;
  const { concurrency, startsPerMinute, autoRollback, follow, windows } = given;
  const errors = { count: errorCount, share: errorShare, minimum: ERROR_MINIMUM };
  const wave = { soakSeconds, minReachedShare, successShare, deadlineSeconds: 1800, errors };
  const made: RolloutRequest = {
    ...{ concurrency, startsPerMinute, autoRollback, follow, windows, gates: gate },
    ...{ release: { name: 'm', version: '2.0.0' }, selector: {} },
    waves: [
      { name: 'canary', size: { count: canary }, ...wave },
      { name: 'half', size: { share: 0.5 }, ...wave, approval },
      { name: 'all', size: { share: 1 }, ...wave },
    ],
    ...{
      deadlineSeconds: DEADLINE_SECONDS,
      rollbackSeconds: 600,
      answerSeconds: 60,
      installSeconds: 300,
      holdSeconds: 60,
    },
    ...(compared === null ? {} : { comparison: { ...COMPARISON, promote: compared } }),
  };
  return completeSpec(made);
}

const fleets = { natures: fc.array(nature, { minLength: 1, maxLength: 24 }), wishes: request, seed: fc.integer() };
/** A quick look each time, a longer one in the full suite, or as many as VIGIE_PROPERTY_RUNS says. */
const RUNS = { numRuns: Number(process.env.VIGIE_PROPERTY_RUNS ?? (process.env.VIGIE_FULL ? 200 : 8)) };

function fleetOf({ natures, wishes, seed }: { natures: Nature[]; wishes: Wishes; seed: number }): SimulatedFleet {
  const fleet = new SimulatedFleet(specOf(wishes), natures, seededRandom(seed), TICK_SECONDS * 1000);
  fleet.command({ kind: 'start' });
  return fleet;
}

/** Takes some hundred steps of a fleet in a world, with an operator who says what he likes; `look` sees each step. */
function live(
  world: Parameters<typeof fleetOf>[0] & { orders: readonly { tick: number; command: RolloutCommand }[] },
  ticks: number,
  look: (fleet: SimulatedFleet, step: ReturnType<SimulatedFleet['advance']>) => void,
): SimulatedFleet {
  const fleet = fleetOf(world);
  for (let tick = 0; tick < ticks; tick += 1) {
    for (const order of world.orders.filter((one) => one.tick === tick)) fleet.command(order.command);
    look(fleet, fleet.advance());
  }
  return fleet;
}

const ANYTHING = fc.record({ ...fleets, orders: orders(['pause', 'resume', 'approve', 'abort', 'rollback', 'retry']) });
const offersOf = ({ made }: ReturnType<SimulatedFleet['advance']>) =>
  made.tellings.filter(({ why }) => why === 'offer');

describe('whatever boards, lines and operators do', { timeout: 1_800_000 }, () => {
  it('tells no board two things at one generation, and none what it is not certified for', () => {
    fc.assert(
      fc.property(ANYTHING, (world) => {
        const words = new Map<string, string>();
        live(world, 320, (fleet, { made }) => {
          // The simulated database refuses a second word at one generation, and a success without proof, by itself, too.
          for (const { deviceId, generation, release } of made.tellings) {
            const word = release?.digest ?? 'nothing';
            expect(words.get(`${deviceId}/${generation}`) ?? word).toBe(word);
            words.set(`${deviceId}/${generation}`, word);
            expect(fleet.boards.get(deviceId)?.nature.hardwareClass).not.toBe('unknown');
          }
          if (new Set(made.tellings.map(({ deviceId }) => deviceId)).size < made.tellings.length)
            expect.fail('a board is told two things in one step');
        });
      }),
      RUNS,
    );
  });

  it('starts nothing while it is paused, waits, stops or turns back, and never more than it may', () => {
    fc.assert(
      fc.property(ANYTHING, (world) => {
        const { concurrency, startsPerMinute = Number.POSITIVE_INFINITY } = world.wishes;
        live(world, 320, (fleet, step) => {
          const { state, progress } = step.before;
          const offers = offersOf(step).length;
          const mayOffer = state === 'running' ? progress.phase !== 'approval' : progress.phase === 'following';
          if (!mayOffer && offers > 0) expect.fail(`${offers} starts while it is ${state}, ${progress.phase}`);
          if (fleet.out() > concurrency) expect.fail(`${fleet.out()} are at work, ${concurrency} may`);
          if (offers > startsPerMinute) expect.fail(`${offers} starts, ${startsPerMinute} may in a minute`);
        });
      }),
      RUNS,
    );
  });

  it('never overruns the errors of a wave by more than the boards that were at work', () => {
    // A board that goes back after its success was not at work any more: what it adds is no overrun.
    const steady = nature.map(
      (one): Nature => ({ ...one, outcome: one.outcome === 'regresses' ? 'bad' : one.outcome }),
    );
    const bad = steady.map(
      (one): Nature => ({ ...one, outcome: 'bad', hardwareClass: 'pi4', offline: one.offline / 4 }),
    );
    const natures = fc.array(fc.oneof(bad, bad, steady), { minLength: 1, maxLength: 30 });
    const strict = orders(['pause', 'resume', 'approve']).map((all) =>
      all.filter(({ command }) => !('accept' in command)),
    );
    fc.assert(
      fc.property(fc.record({ ...fleets, natures, orders: strict }), (world) => {
        const { errorCount, errorShare = 1, concurrency } = world.wishes;
        const fleet = live(world, 400, (now, step) => {
          if (offersOf(step).length === 0) return;
          // Once its limits are broken, a wave starts nothing more.
          const wave = [...now.members.values()].filter((member) => member.wave === step.before.progress.wave);
          const count = (...states: string[]) => wave.filter(({ state }) => states.includes(state)).length;
          const [failed, reached] = [count('failed'), count('failed', 'succeeded', 'timed-out')];
          if (step.before.state !== 'running' || step.made.progress.wave !== step.before.progress.wave) return;
          expect(failed).toBeLessThanOrEqual(errorCount);
          if (reached >= ERROR_MINIMUM) expect(failed / reached).toBeLessThanOrEqual(errorShare);
        });
        for (const failures of fleet.failures) expect(failures ?? 0).toBeLessThanOrEqual(errorCount + concurrency);
      }),
      RUNS,
    );
  });

  it('ends', () => {
    fc.assert(
      fc.property(
        fc.record({ ...fleets, orders: orders(['pause', 'resume', 'approve', 'abort', 'rollback']) }),
        ({ orders, ...world }) => {
          const fleet = fleetOf(world);
          for (let tick = 0; tick < ENDS_WITHIN && !fleet.ended; tick += 1) {
            for (const order of orders.filter((one) => one.tick === tick)) fleet.command(order.command);
            fleet.advance();
          }
          expect(fleet.rollout.state, fleet.decisions.map(({ text }) => text).join('\n')).toSatisfy(() => fleet.ended);
          expect(fleet.out() === 0 || fleet.rollout.progress.phase === 'following').toBe(true);
        },
      ),
      RUNS,
    );
  });

  it('decides the same from the same', () => {
    fc.assert(
      fc.property(fc.record(fleets), (world) => {
        const fleet = fleetOf(world);
        for (let tick = 0; tick < 60; tick += 1) {
          const { before, input, made } = fleet.advance();
          expect(step(structuredClone(before), structuredClone(input))).toEqual(made);
        }
      }),
      { numRuns: 10 },
    );
  });
});
