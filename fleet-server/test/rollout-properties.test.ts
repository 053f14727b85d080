import type { RolloutCommand } from '@vigie/fleet-server/rollout/commands';
import { completeSpec, type RolloutRequest } from '@vigie/fleet-server/rollout/spec';
import { step } from '@vigie/fleet-server/rollout/step';
import { seededRandom } from '@vigie/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Nature, SimulatedFleet } from './simulated-fleet.js';

const TICK_SECONDS = 20;
const DEADLINE_SECONDS = 4 * 3600;
/** The rollout's own deadline, then turning back, then some ticks for the last words. */
const ENDS_WITHIN = (DEADLINE_SECONDS + 1200) / TICK_SECONDS + 20;

const nature: fc.Arbitrary<Nature> = fc.record({
  outcome: fc.oneof(
    { weight: 6, arbitrary: fc.constant('good' as const) },
    { weight: 4, arbitrary: fc.constantFrom('bad' as const, 'later' as const, 'cannot' as const, 'stuck' as const) },
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
});

const COMMANDS: RolloutCommand[] = [
  { kind: 'pause' },
  { kind: 'resume' },
  { kind: 'resume', accept: true },
  { kind: 'approve' },
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

type Wishes = typeof request extends fc.Arbitrary<infer T> ? T : never;

function specOf({ errorCount, soakSeconds, canary, minReachedShare, approval, successShare, ...wishes }: Wishes) {
  const wave = { soakSeconds, minReachedShare, successShare, deadlineSeconds: 1800, errors: { count: errorCount } };
  const made: RolloutRequest = {
    ...wishes,
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
  };
  return completeSpec(made);
}

const fleets = { natures: fc.array(nature, { minLength: 1, maxLength: 24 }), wishes: request, seed: fc.integer() };
/** A quick look each time, a long one in the full suite. */
const RUNS = { numRuns: process.env.VIGIE_FULL ? 200 : 20 };

function fleetOf({ natures, wishes, seed }: { natures: Nature[]; wishes: Wishes; seed: number }): SimulatedFleet {
  const fleet = new SimulatedFleet(specOf(wishes), natures, seededRandom(seed), TICK_SECONDS * 1000);
  fleet.command({ kind: 'start' });
  return fleet;
}

describe('whatever boards, lines and operators do', { timeout: 180_000 }, () => {
  it('no board is told two things at one generation, none more than allowed are at work, and paused means no new starts', () => {
    fc.assert(
      fc.property(
        fc.record({ ...fleets, orders: orders(['pause', 'resume', 'approve', 'abort', 'rollback', 'retry']) }),
        ({ orders, ...world }) => {
          const fleet = fleetOf(world);
          for (let tick = 0; tick < 320; tick += 1) {
            for (const order of orders.filter((one) => one.tick === tick)) fleet.command(order.command);
            // A second word at one generation, or a success without proof, throws in the simulated database.
            const { before, made } = fleet.advance();
            const offers = made.tellings.filter(({ why }) => why === 'offer');
            const mayOffer =
              before.state === 'running' || (before.state === 'succeeded' && before.progress.phase === 'following');
            if (!mayOffer) expect(offers).toEqual([]);
            expect(fleet.out()).toBeLessThanOrEqual(world.wishes.concurrency);
            expect(offers.length).toBeLessThanOrEqual(world.wishes.startsPerMinute ?? Number.POSITIVE_INFINITY);
            const told = made.members
              .filter(({ told }) => told !== null)
              .map(({ deviceId }) => fleet.boards.get(deviceId)?.nature);
            expect(told.some((one) => one?.hardwareClass === 'unknown')).toBe(false);
          }
        },
      ),
      RUNS,
    );
  });

  it('never overruns the errors of a wave by more than the boards that were at work', () => {
    const bad = nature.map(
      (one): Nature => ({ ...one, outcome: 'bad', hardwareClass: 'pi4', offline: one.offline / 4 }),
    );
    const natures = fc.array(fc.oneof(bad, bad, nature), { minLength: 1, maxLength: 30 });
    fc.assert(
      fc.property(
        fc.record({ ...fleets, natures, orders: orders(['pause', 'resume', 'approve']) }),
        ({ orders, ...world }) => {
          const fleet = fleetOf(world);
          for (let tick = 0; tick < 400; tick += 1) {
            for (const order of orders.filter((one) => one.tick === tick))
              if (!('accept' in order.command)) fleet.command(order.command);
            fleet.advance();
          }
          for (const failures of fleet.failures)
            expect(failures ?? 0).toBeLessThanOrEqual(world.wishes.errorCount + world.wishes.concurrency);
        },
      ),
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
      { numRuns: 15 },
    );
  });
});
