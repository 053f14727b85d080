import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../src/io/system-clock.js';
import { type Board, makePackage, startBoard } from './board-fixture.js';
import { TestBroker, TestFleet, until } from './fleet-fixture.js';

const TRIAL = { minFrames: 10, compareEvery: 2, deadlineMs: 5000 };
const TEN_YEARS = 10 * 365 * 86_400_000;

let broker: TestBroker;
let fleet: TestFleet;
let boards: Board[];
let base: string;

beforeEach(async () => {
  broker = await TestBroker.start();
  fleet = new TestFleet(broker);
  boards = [];
  base = await makePackage('1.0.0');
});

afterEach(async () => {
  for (const board of boards) await board.stop();
  await broker.close();
});

/** A board whose wall clock is off by `offsetMs()`, and whose system says of it what `synchronised` says. */
async function board(offsetMs: () => number, synchronised: boolean | null): Promise<Board> {
  const started = await startBoard({
    identity: fleet.identity,
    bundled: base,
    more: {
      clock: { ...systemClock, wall: () => Date.now() + offsetMs() },
      trust: { synchronised: () => synchronised },
    },
  });
  boards.push(started);
  await until('live results', () => (started.updater.status().active?.framesRun ?? 0) > 20);
  return started;
}

const ended = (generation: number) =>
  fleet.report(`the end of generation ${generation}`, (report) => {
    return report.generation === generation && ['COMMITTED', 'FAILED'].includes(report.phase);
  });

test.each([
  ['ten years back', -TEN_YEARS, null],
  ['ten years back and claimed to be set', -TEN_YEARS, true],
  ['ten years ahead and never set', TEN_YEARS, false],
] as const)('a clock %s stops no install, and the reports say that it is not believed', async (_name, offset, set) => {
  await board(() => offset, set);
  const next = await fleet.publish(await makePackage('1.1.0'));
  await fleet.assign(next, 1, { trial: TRIAL });
  const report = await ended(1);
  expect(report).toMatchObject({ phase: 'COMMITTED', timeTrusted: false });
  expect(Math.abs(Date.parse(report.at) - Date.now()), 'the time of the reports is the proven one').toBeLessThan(
    60_000,
  );
});

test('a clock ten years ahead that claims to be set stops installs until it is right, and leaves nothing behind', async () => {
  let offset = TEN_YEARS;
  const started = await board(() => offset, true);
  const next = await fleet.publish(await makePackage('1.1.0'));
  await fleet.assign(next, 1, { trial: TRIAL });
  const refused = await ended(1);
  expect(refused.error?.code).toBe('TUF_EXPIRED');
  expect(started.live.active?.version).toBe('1.0.0');
  offset = 0;
  const done = await fleet.report(
    'the later success',
    ({ generation, phase }) => generation === 1 && phase === 'COMMITTED',
  );
  expect(done.timeTrusted).toBeUndefined();
});
