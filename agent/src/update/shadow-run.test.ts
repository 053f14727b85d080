import type { Detection } from '@vigie/models/runtime/detection';
import { expect, test } from 'vitest';
import { FakeDetector, FakeFactory, fakeFrame, settle } from '../../test/fake-detector.js';
import { ManualClock } from '../../test/manual-clock.js';
import type { BoardHeat } from '../ports.js';
import { FrameLoop } from '../vision/live-detector.js';
import { runShadow, type ShadowEnd } from './shadow-run.js';

const PERSON: Detection = { classId: 0, label: 'person', score: 0.9, box: [0.1, 0.1, 0.3, 0.4] };
const MOVED: Detection = { ...PERSON, score: 0.7, box: [0.11, 0.1, 0.31, 0.4] };

async function setUp() {
  const clock = new ManualClock();
  const loop = new FrameLoop({ clock, factory: new FakeFactory(), frameSize: { width: 2, height: 2 }, flow: null });
  await loop.start('A');
  const [a, b] = [loop.active as FakeDetector, new FakeDetector('B')];
  const abort = new AbortController();
  const board: { heat: BoardHeat } = { heat: { temperatureC: 55, throttled: false } };
  const run = runShadow(
    loop,
    clock,
    {
      candidate: b,
      policy: { seconds: 60, everyFrames: 2, outcome: 'report', minAgreement: 0.5 },
      maxTemperatureC: 80,
      scoreFloor: 0.4,
      readHeat: () => board.heat,
    },
    abort.signal,
  );
  let end: ShadowEnd | null = null;
  run.then(
    (ended) => {
      end = ended;
    },
    () => {},
  );
  let sequence = 0;
  const feed = async (frames: number, seen: Detection[] = [MOVED]) => {
    for (let i = 0; i < frames; i += 1) {
      sequence += 1;
      loop.offer(fakeFrame(sequence));
      await a.answer([PERSON]);
      if (b.busy) await b.answer(seen, 20);
    }
  };
  return { clock, loop, a, b, abort, board, run, feed, ended: () => end };
}

test('goes its time and tells how far the two agree, on one frame in N', async () => {
  const { clock, loop, b, feed, ended } = await setUp();
  await feed(12);
  clock.advance(59_999);
  await settle();
  expect(ended()).toBeNull();
  clock.advance(1);
  await settle();
  expect(ended()).toMatchObject({
    ended: 'time',
    agreement: { frames: 6, candidateBoxes: 6, referenceBoxes: 6, matchedBoxes: 6, agreement: 1, candidateP95Ms: 20 },
  });
  expect(ended()?.agreement?.scoreDrift).toBeCloseTo(-0.2, 9);
  // Nothing is left behind: the candidate is free for a trial.
  expect([b.closed, clock.pending]).toEqual([false, 0]);
  void loop.turnTo(b, 'B', 1);
});

test('with too few frames to compare says so', async () => {
  const { clock, feed, ended } = await setUp();
  await feed(8);
  clock.advance(60_000);
  await settle();
  expect(ended()).toMatchObject({ ended: 'no-frames', agreement: { frames: 4 } });
});

test('ends at once when the candidate dies, and the live model never notices', async () => {
  const { loop, b, feed, ended, clock } = await setUp();
  await feed(4);
  await b.crash('SIGSEGV');
  expect(ended()).toMatchObject({
    ended: 'crashed',
    reason: expect.stringContaining('SIGSEGV'),
    agreement: { frames: 2 },
  });
  await feed(4);
  expect([loop.restarts, loop.drops, clock.pending]).toEqual([0, {}, 0]);
});

test('leaves a hot board alone', async () => {
  const { clock, board, ended } = await setUp();
  board.heat = { temperatureC: 70, throttled: true };
  clock.advance(1000);
  await settle();
  expect(ended()).toMatchObject({ ended: 'hot', agreement: null, reason: expect.stringContaining('throttles') });
});

test('is called off by its signal, with the candidate still the caller’s', async () => {
  const { abort, run, b, loop, clock } = await setUp();
  abort.abort(new Error('a newer generation'));
  await expect(run).rejects.toThrow('a newer generation');
  expect([b.closed, clock.pending]).toEqual([false, 0]);
  expect(() => loop.beginShadow(b, 1)).not.toThrow();
});
