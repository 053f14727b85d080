import type { Detection } from '@vigie/models/runtime/detection';
import { describe, expect, test } from 'vitest';
import { FakeDetector, FakeFactory, fakeFrame, settle } from '../../test/fake-detector.js';
import { ManualClock } from '../../test/manual-clock.js';
import type { BoardHeat } from '../ports.js';
import { FrameLoop } from '../vision/live-detector.js';
import { runTrial, type TrialSubject, type TrialVerdict } from './trial-run.js';

const POLICY = {
  minFrames: 10,
  compareEvery: 2,
  maxLatencyRatio: 3,
  minDetectionRatio: 0.3,
  maxTemperatureC: 80,
  deadlineMs: 30_000,
};
const PERSON: Detection = { classId: 0, label: 'person', score: 0.9, box: [0.1, 0.1, 0.3, 0.4] };
const COOL: BoardHeat = { temperatureC: 55, throttled: false };

/** A trial of B after A on a board that shows `heat`. */
async function setUp(subject: Partial<TrialSubject> = {}, threshold?: number) {
  const clock = new ManualClock();
  const loop = new FrameLoop({ clock, factory: new FakeFactory(), frameSize: { width: 2, height: 2 }, flow: null });
  await loop.start('A');
  const [a, b] = [loop.active as FakeDetector, new FakeDetector('B', ['person'], threshold)];
  const board = { heat: COOL };
  const trial = runTrial(loop, clock, {
    candidateDigest: 'B',
    baselineMs: Array(20).fill(10),
    policy: POLICY,
    scoreFloor: 0.4,
    readHeat: () => board.heat,
    ...subject,
  });
  let verdict: TrialVerdict | null = null;
  void trial.verdict.then((ended) => {
    verdict = ended;
  });
  void loop.turnTo(b, 'B', POLICY.compareEvery).catch(() => {});
  let sequence = 0;
  /** Frames on which both see what is given, in the time that is given. */
  const feed = async (frames: number, seen: { b?: Detection[]; a?: Detection[]; ms?: number } = {}) => {
    for (let i = 0; i < frames; i += 1) {
      sequence += 1;
      loop.offer(fakeFrame(sequence));
      await b.answer(seen.b ?? [PERSON], seen.ms ?? 10);
      if (a.busy) await a.answer(seen.a ?? [PERSON], 10);
    }
  };
  return { clock, loop, a, b, board, trial, feed, ended: () => verdict };
}

test('a good candidate is told with how far the two agreed', async () => {
  const { feed, ended, clock } = await setUp();
  await feed(9);
  expect(ended()).toBeNull();
  await feed(1, { b: [{ ...PERSON, score: 0.8 }] });
  expect(ended()).toMatchObject({
    verdict: 'good',
    agreement: { frames: 4, candidateBoxes: 4, referenceBoxes: 4, matchedBoxes: 4, agreement: 1, candidateP95Ms: 10 },
  });
  expect(clock.pending).toBe(0);
});

test('weak detections do not count, each model by its own threshold', async () => {
  const weak = [{ ...PERSON, score: 0.35 }];
  const same = await setUp();
  await same.feed(20, { b: weak, a: weak });
  expect(same.ended()).toBeNull();
  const own = await setUp({}, 0.95);
  await own.feed(20);
  expect(own.ended()).toMatchObject({ verdict: 'bad', code: 'TRIAL_DISAGREES', agreement: { candidateBoxes: 0 } });
});

test('a candidate that sees nothing of what the other sees is turned down, with the figures', async () => {
  const { feed, ended } = await setUp();
  await feed(12, { b: [] });
  expect(ended()).toMatchObject({
    verdict: 'bad',
    code: 'TRIAL_DISAGREES',
    message: expect.stringContaining('0 detections where the previous model had 5'),
    agreement: { matchedBoxes: 0, agreement: 0 },
  });
});

test('in an empty scene it goes to the deadline, and stands', async () => {
  const { feed, ended, clock } = await setUp();
  await feed(100, { a: [], b: [] });
  expect(ended()).toBeNull();
  clock.advance(POLICY.deadlineMs);
  await settle();
  expect(ended()).toMatchObject({ verdict: 'good', reason: expect.stringContaining('too few to judge') });
});

test('a camera that is lost is waited for, ten deadlines long', async () => {
  const { feed, ended, clock } = await setUp();
  await feed(3);
  clock.advance(POLICY.deadlineMs * 9.9);
  await settle();
  expect(ended()).toBeNull();
  clock.advance(POLICY.deadlineMs * 0.1);
  await settle();
  expect(ended()).toMatchObject({ verdict: 'inconclusive', code: 'TRIAL_NO_FRAMES', agreement: { frames: 1 } });
  expect(clock.pending).toBe(0);
});

describe('a hot board', () => {
  test('ends the trial within a second, whatever the candidate does', async () => {
    const { feed, ended, clock, board } = await setUp();
    await feed(3);
    board.heat = { temperatureC: 80, throttled: false };
    clock.advance(1000);
    await settle();
    expect(ended()).toMatchObject({
      verdict: 'inconclusive',
      code: 'TRIAL_HOT',
      message: expect.stringContaining('it was at 55 °C when this began'),
    });
  });

  test('is looked for once more before a verdict on speed', async () => {
    const { feed, ended, board } = await setUp();
    board.heat = { temperatureC: 60, throttled: true };
    await feed(10, { ms: 500 });
    expect(ended()).toMatchObject({ verdict: 'inconclusive', code: 'TRIAL_HOT' });
  });

  test('from the start lets nothing be judged', async () => {
    const { ended, clock, board } = await setUp();
    board.heat = { temperatureC: 95, throttled: null };
    clock.advance(0);
    await settle();
    expect(ended()).toMatchObject({ verdict: 'inconclusive', code: 'TRIAL_HOT' });
  });

  test('that has no sensor is taken for a cool one', async () => {
    const { feed, ended } = await setUp({ readHeat: undefined });
    await feed(10);
    expect(ended()?.verdict).toBe('good');
  });
});

test('after a stop-swap there is nothing to compare with, and frames lost to the swap are not the candidate’s', async () => {
  const clock = new ManualClock();
  const loop = new FrameLoop({ clock, factory: new FakeFactory(), frameSize: { width: 2, height: 2 }, flow: null });
  await loop.start('A');
  const b = new FakeDetector('B');
  const trials: ReturnType<typeof runTrial>[] = [];
  let loaded = (_detector: FakeDetector) => {};
  const first = loop.stopThenTurn(async () => {
    trials.push(runTrial(loop, clock, { candidateDigest: 'B', baselineMs: [], policy: POLICY, scoreFloor: 0.4 }));
    return new Promise((resolve) => {
      loaded = resolve;
    });
  }, 'B');
  await settle();
  loop.offer(fakeFrame(1));
  expect(loop.drops).toEqual({ swap: 1 });
  clock.advance(POLICY.deadlineMs);
  loaded(b);
  await settle();
  for (let sequence = 2; sequence < 12; sequence += 1) {
    loop.offer(fakeFrame(sequence));
    await b.answer([], 10);
  }
  expect((await first).digest).toBe('B');
  expect(await trials[0].verdict).toMatchObject({ verdict: 'good', agreement: null });
});
