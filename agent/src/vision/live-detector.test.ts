import { describe, expect, it } from 'vitest';
import { FakeDetector, FakeFactory, fakeFrame, settle } from '../../test/fake-detector.js';
import { ManualClock } from '../../test/manual-clock.js';
import type { FrameComparison, FrameResult } from '../ports.js';
import { FrameLoop } from './live-detector.js';

async function setUp(lossless = false) {
  const clock = new ManualClock();
  const factory = new FakeFactory();
  const flow: string[] = [];
  const loop = new FrameLoop({
    clock,
    factory,
    frameSize: { width: 2, height: 2 },
    flow: lossless ? { pause: () => flow.push('pause'), resume: () => flow.push('resume') } : null,
  });
  const results: FrameResult[] = [];
  const comparisons: FrameComparison[] = [];
  const crashes: { digest: string; reason: string }[] = [];
  loop.onResult((result) => results.push(result));
  loop.onComparison((comparison) => comparisons.push(comparison));
  loop.onCrash((crash) => crashes.push(crash));
  await loop.start('A');
  const a = factory.spawned[0];
  return { clock, factory, flow, loop, results, comparisons, crashes, a };
}

const order = (results: FrameResult[]) => results.map(({ sequence, digest }) => `${sequence}${digest}`).join(' ');

describe('the newest frame wins', () => {
  it('drops the waiting frame for a newer one, and counts it', async () => {
    const { loop, a, results } = await setUp();
    const frames = [1, 2, 3].map(fakeFrame);
    for (const frame of frames) loop.offer(frame);
    await a.answer();
    await a.answer();
    expect(order(results)).toBe('1A 3A');
    expect(loop.drops).toEqual({ busy: 1 });
    expect(frames.map((frame) => frame.released)).toEqual([1, 1, 1]);
  });

  it('counts frames the camera could not store', async () => {
    const { loop } = await setUp();
    loop.offer(fakeFrame(1));
    loop.offer(fakeFrame(5));
    expect(loop.drops).toEqual({ overrun: 3 });
  });

  it('asks the child for the next frame before anyone sees the last result', async () => {
    const { loop, a } = await setUp();
    let busyMeanwhile = false;
    loop.onFrame(() => {
      busyMeanwhile = a.busy;
    });
    loop.offer(fakeFrame(1));
    loop.offer(fakeFrame(2));
    await a.answer();
    expect(busyMeanwhile).toBe(true);
  });
});

describe('lossless', () => {
  it('brakes the source instead of dropping', async () => {
    const { loop, a, flow, results } = await setUp(true);
    loop.offer(fakeFrame(1));
    expect(flow).toEqual([]);
    loop.offer(fakeFrame(2));
    expect(flow).toEqual(['pause']);
    await a.answer();
    expect(flow).toEqual(['pause', 'resume']);
    await a.answer();
    expect(order(results)).toBe('1A 2A');
    expect(loop.drops).toEqual({});
  });

  it('holds the frame while no detector lives', async () => {
    const { loop, a, clock, factory, results } = await setUp(true);
    await a.crash('SIGKILL');
    loop.offer(fakeFrame(1));
    clock.advance(0);
    await settle();
    await factory.spawned[1].answer();
    expect(order(results)).toBe('1A');
  });
});

describe('a turn of the pointer', () => {
  it('happens between two frames and misses none', async () => {
    const { loop, a, results } = await setUp();
    const b = new FakeDetector('B');
    loop.offer(fakeFrame(1));
    const first = loop.turnTo(b, 'dir-b', 0);
    loop.offer(fakeFrame(2));
    await a.answer();
    await b.answer();
    expect(order(results)).toBe('1A 2B');
    expect((await first).sequence).toBe(2);
    expect([b.promoted, a.closed, loop.drops]).toEqual([true, false, {}]);
    await loop.commit();
    expect(a.closed).toBe(true);
    expect(loop.directory).toBe('dir-b');
  });

  it('shows every N-th frame to the warm model, without holding the live one up', async () => {
    const { loop, a, comparisons } = await setUp();
    const b = new FakeDetector('B');
    void loop.turnTo(b, 'B', 2);
    const frames = [1, 2, 3, 4, 5].map(fakeFrame);
    for (const frame of frames.slice(0, 2)) {
      loop.offer(frame);
      await b.answer();
    }
    expect(a.busy).toBe(true);
    expect(frames[1].released).toBe(0);
    for (const frame of frames.slice(2)) {
      loop.offer(frame);
      await b.answer();
    }
    await a.answer();
    expect(comparisons).toMatchObject([{ sequence: 2, live: { digest: 'B' }, other: { digest: 'A' } }]);
    expect(frames.map((frame) => frame.released)).toEqual([1, 1, 1, 1, 1]);
    expect(a.calls).toBe(1);
  });

  it('is turned back to the warm model, which finishes its comparison first', async () => {
    const { loop, a, results } = await setUp();
    const b = new FakeDetector('B');
    void loop.turnTo(b, 'B', 1);
    loop.offer(fakeFrame(1));
    await b.answer();
    await loop.turnBack();
    loop.offer(fakeFrame(2));
    expect(a.calls).toBe(1);
    await a.answer();
    await a.answer();
    expect(order(results)).toBe('1B 2A');
    expect([b.closed, loop.drops, loop.directory]).toEqual([true, {}, 'A']);
  });

  it('refuses a second trial, and an end of none', async () => {
    const { loop } = await setUp();
    await expect(loop.commit()).rejects.toMatchObject({ code: 'NO_TRIAL' });
    void loop.turnTo(new FakeDetector('B'), 'B', 1);
    await expect(loop.turnTo(new FakeDetector('C'), 'C', 1)).rejects.toMatchObject({ code: 'TRIAL_RUNNING' });
  });

  it('says so when it is turned back before a first result', async () => {
    const { loop } = await setUp();
    const turned = expect(loop.turnTo(new FakeDetector('B'), 'B', 1)).rejects.toMatchObject({ code: 'TURNED_BACK' });
    await loop.turnBack();
    await turned;
  });
});

describe('a crash', () => {
  it('of the live child starts it again at once, then more and more seldom', async () => {
    const { loop, a, clock, factory, crashes } = await setUp();
    loop.offer(fakeFrame(1));
    await a.crash('SIGKILL');
    expect(loop.active).toBeNull();
    expect(crashes).toEqual([{ digest: 'A', reason: 'SIGKILL' }]);
    factory.failures = 2;
    clock.advance(0);
    await settle();
    expect(loop.startError).toBe('does not load');
    loop.offer(fakeFrame(2));
    clock.advance(500);
    await settle();
    clock.advance(999);
    expect(factory.spawned).toHaveLength(1);
    clock.advance(1);
    await settle();
    expect(loop.active).toBe(factory.spawned[1]);
    expect([loop.restarts, loop.startError]).toEqual([1, null]);
    expect(loop.drops).toEqual({ 'detector-died': 1, 'no-detector': 1 });
  });

  it('of a candidate turns back to the warm model before anyone hears of it', async () => {
    const { loop, a, crashes } = await setUp();
    const b = new FakeDetector('B');
    let activeWhenTold: unknown;
    loop.onCrash(() => {
      activeWhenTold = loop.active;
    });
    const turned = expect(loop.turnTo(b, 'B', 1)).rejects.toMatchObject({ code: 'CANDIDATE_DIED' });
    await b.crash('SIGSEGV');
    await turned;
    expect(activeWhenTold).toBe(a);
    expect([crashes[0].digest, loop.directory, loop.restarts]).toEqual(['B', 'A', 1]);
  });

  it('is what a candidate that hangs on a frame comes to: the warm model takes over and sees the next frame', async () => {
    const { loop, a, clock, crashes, results } = await setUp();
    const b = new FakeDetector('B');
    const turned = expect(loop.turnTo(b, 'B', 1)).rejects.toMatchObject({ code: 'CANDIDATE_DIED' });
    loop.offer(fakeFrame(1));
    loop.offer(fakeFrame(2));
    clock.advance(1999);
    await settle();
    expect([loop.active, crashes]).toEqual([b, []]);
    clock.advance(1);
    await turned;
    await settle();
    expect(loop.active).toBe(a);
    await a.answer();
    expect(order(results)).toBe('2A');
    expect(clock.pending).toBe(0);
  });

  it("of a model without another at hand is for the child's own timeout to tell", async () => {
    const { loop, a, clock } = await setUp();
    loop.offer(fakeFrame(1));
    clock.advance(60_000);
    await settle();
    expect([loop.active, a.busy]).toEqual([a, true]);
  });

  it('of candidate and warm model loads the previous one again', async () => {
    const { loop, a, clock, factory } = await setUp();
    const b = new FakeDetector('B');
    loop.turnTo(b, 'B', 1).catch(() => {});
    await a.crash('OOM');
    expect(loop.active).toBe(b);
    await b.crash('OOM');
    clock.advance(0);
    await settle();
    expect(factory.spawned.at(-1)?.digest).toBe('A');
    expect(loop.active).toBe(factory.spawned.at(-1));
  });
});

it('closes its children when it stops, and takes no more frames', async () => {
  const { loop, a } = await setUp();
  const b = new FakeDetector('B');
  void loop.turnTo(b, 'B', 1);
  await loop.stop();
  const frame = fakeFrame(1);
  loop.offer(frame);
  expect([a.closed, b.closed, frame.released]).toEqual([true, true, 1]);
});
