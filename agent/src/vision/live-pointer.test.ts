import { describe, expect, it } from 'vitest';
import { FakeDetector, FakeFactory, fakeFrame, settle } from '../../test/fake-detector.js';
import { ManualClock } from '../../test/manual-clock.js';
import type { FrameComparison, FrameResult } from '../ports.js';
import { FrameLoop } from './live-detector.js';

/** A board whose model A lives; `feed` brings a frame and lets the live child answer. */
async function setUp() {
  const clock = new ManualClock();
  const factory = new FakeFactory();
  const loop = new FrameLoop({ clock, factory, frameSize: { width: 2, height: 2 }, flow: null });
  const results: FrameResult[] = [];
  const comparisons: FrameComparison[] = [];
  const crashes: string[] = [];
  loop.onResult((result) => results.push(result));
  loop.onComparison((comparison) => comparisons.push(comparison));
  loop.onCrash((crash) => crashes.push(crash.digest));
  await loop.start('A');
  let sequence = 0;
  const next = () => {
    sequence += 1;
    const frame = fakeFrame(sequence);
    loop.offer(frame);
    return frame;
  };
  const feed = async () => {
    const frame = next();
    await (loop.active as FakeDetector).answer();
    return frame;
  };
  return { clock, factory, loop, results, comparisons, crashes, a: factory.spawned[0], next, feed };
}

const order = (results: FrameResult[]) => results.map(({ sequence, digest }) => `${sequence}${digest}`).join(' ');

describe('a shadow run', () => {
  it('shows the candidate one frame in N, and only the comparison listeners hear what it says', async () => {
    const { loop, results, comparisons, feed } = await setUp();
    const b = new FakeDetector('B', ['person', 'dog']);
    loop.beginShadow(b, 2);
    await feed();
    expect(b.busy).toBe(false);
    const second = await feed();
    expect([b.busy, second.released]).toEqual([true, 0]);
    await b.answer([{ classId: 0, label: 'dog', score: 0.9, box: [0, 0, 1, 1] }], 20);
    expect(second.released).toBe(1);
    expect(comparisons).toMatchObject([
      {
        sequence: 2,
        live: { digest: 'A', labels: ['person'], detections: [], childMs: 6 },
        other: { digest: 'B', labels: ['person', 'dog'], detections: [{ label: 'dog' }], childMs: 20 },
      },
    ]);
    expect(order(results)).toBe('1A 2A');
    expect([loop.active?.digest, b.promoted, loop.drops]).toEqual(['A', false, {}]);
  });

  it('marks the live frames that the candidate was at work beside', async () => {
    const { loop, a, results, next, feed } = await setUp();
    const b = new FakeDetector('B');
    loop.beginShadow(b, 2);
    await feed();
    next();
    next();
    // The second frame goes to the candidate while the third is in the live child.
    await a.answer();
    await b.answer();
    await a.answer();
    await feed();
    expect(results.map(({ overlapped }) => overlapped)).toEqual([false, false, true, false]);
  });

  it.each(['dies', 'hangs'])('of a candidate that %s does not touch the live model', async (fate) => {
    const { loop, results, crashes, comparisons, feed } = await setUp();
    const b = new FakeDetector('B');
    loop.beginShadow(b, 1);
    const shown = await feed();
    if (fate === 'dies') await b.crash('SIGSEGV');
    for (let i = 0; i < 3; i += 1) await feed();
    expect(order(results)).toBe('1A 2A 3A 4A');
    expect([loop.restarts, crashes, comparisons, loop.drops]).toEqual([0, [], [], {}]);
    expect([shown.released, b.calls]).toEqual([fate === 'dies' ? 1 : 0, 1]);
  });

  it('ends when its last frame is back, and the candidate may be turned to', async () => {
    const { loop, a, results, feed } = await setUp();
    const b = new FakeDetector('B');
    loop.beginShadow(b, 1);
    await feed();
    let over = false;
    const ending = loop.endShadow().then(() => {
      over = true;
    });
    await settle();
    expect(over).toBe(false);
    await b.answer();
    await ending;
    expect(b.closed).toBe(false);
    void loop.turnTo(b, 'B', 0);
    await feed();
    await loop.commit();
    expect([order(results), a.closed]).toEqual(['1A 2B', true]);
  });

  it('goes on when the live child dies and is started again', async () => {
    const { loop, clock, a, comparisons, feed } = await setUp();
    const b = new FakeDetector('B');
    loop.beginShadow(b, 1);
    await a.crash('OOM');
    clock.advance(0);
    await settle();
    await feed();
    await b.answer();
    expect(comparisons).toHaveLength(1);
  });

  it('does not go with a trial, nor with a second one', async () => {
    const { loop } = await setUp();
    loop.beginShadow(new FakeDetector('B'), 1);
    expect(() => loop.beginShadow(new FakeDetector('C'), 1)).toThrow(
      expect.objectContaining({ code: 'SHADOW_RUNNING' }),
    );
    await expect(loop.turnTo(new FakeDetector('C'), 'C', 1)).rejects.toMatchObject({ code: 'SHADOW_RUNNING' });
    await expect(loop.stopThenTurn(async () => new FakeDetector('C'), 'C')).rejects.toMatchObject({
      code: 'SHADOW_RUNNING',
    });
    await loop.endShadow();
    void loop.turnTo(new FakeDetector('C'), 'C', 1);
    expect(() => loop.beginShadow(new FakeDetector('B'), 1)).toThrow(
      expect.objectContaining({ code: 'TRIAL_RUNNING' }),
    );
  });
});

describe('a stop-swap', () => {
  /** A load that a test ends by hand. */
  function loading() {
    let end: { resolve(detector: FakeDetector): void; reject(error: Error): void } | null = null;
    const load = () =>
      new Promise<FakeDetector>((resolve, reject) => {
        end = { resolve, reject };
      });
    return { load, begun: () => end !== null, end: () => end as NonNullable<typeof end> };
  }

  it('ends the present child before the next one loads, and drops frames as lost to the swap', async () => {
    const { loop, a, results, next, feed } = await setUp();
    const b = new FakeDetector('B');
    const { load, begun, end } = loading();
    let closed = () => {};
    a.closing = new Promise((resolve) => {
      closed = resolve;
    });
    const first = loop.stopThenTurn(load, 'B');
    await settle();
    expect([a.closed, begun()]).toEqual([true, false]);
    closed();
    await settle();
    expect(begun()).toBe(true);
    const lost = next();
    expect([lost.released, loop.drops]).toEqual([1, { swap: 1 }]);
    end().resolve(b);
    await settle();
    await feed();
    expect([(await first).digest, order(results), b.promoted]).toEqual(['B', '2B', true]);
    await loop.commit();
    expect([loop.directory, loop.drops]).toEqual(['B', { swap: 1 }]);
  });

  it('loads the previous model again at once when the next one does not load', async () => {
    const { loop, factory, results, feed } = await setUp();
    const failed = loop.stopThenTurn(() => Promise.reject(new Error('no memory')), 'B');
    await expect(failed).rejects.toThrow('no memory');
    expect(factory.spawned.map(({ digest }) => digest)).toEqual(['A', 'A']);
    await feed();
    expect([order(results), loop.directory, loop.trialRunning]).toEqual(['1A', 'A', false]);
  });

  it('tries again and again when the previous model does not load either', async () => {
    const { loop, clock, factory, next } = await setUp();
    factory.failures = 2;
    await expect(loop.stopThenTurn(() => Promise.reject(new Error('no memory')), 'B')).rejects.toThrow('no memory');
    expect([loop.active, loop.startError]).toEqual([null, 'does not load']);
    next();
    expect(loop.drops).toEqual({ 'no-detector': 1 });
    for (let i = 0; i < 3; i += 1) {
      clock.advance(2000);
      await settle();
    }
    expect(loop.active?.digest).toBe('A');
  });

  it('is turned back by ending the candidate before the previous model loads', async () => {
    const { loop, factory, results, next, feed } = await setUp();
    const b = new FakeDetector('B');
    void loop.stopThenTurn(async () => b, 'B');
    await settle();
    await feed();
    let closed = () => {};
    b.closing = new Promise((resolve) => {
      closed = resolve;
    });
    const back = loop.turnBack();
    await settle();
    next();
    expect([b.closed, factory.spawned.length, loop.drops]).toEqual([true, 1, { swap: 1 }]);
    closed();
    await back;
    expect(loop.active).toBe(factory.spawned[1]);
    await feed();
    expect([order(results), loop.directory]).toEqual(['1B 3A', 'A']);
  });

  it('whose candidate dies loads the previous model again before it is tried anew', async () => {
    const { loop, clock, factory, crashes, feed } = await setUp();
    const b = new FakeDetector('B');
    const first = expect(loop.stopThenTurn(async () => b, 'B')).rejects.toMatchObject({ code: 'CANDIDATE_DIED' });
    await settle();
    await b.crash('OOM');
    await first;
    clock.advance(0);
    await settle();
    expect([loop.active, crashes]).toEqual([factory.spawned[1], ['B']]);
    await feed();
  });

  it('does not let a restart that was under way slip a second model in', async () => {
    const { loop, clock, factory, a } = await setUp();
    let spawned = (_detector: FakeDetector) => {};
    factory.spawn = () =>
      new Promise((resolve) => {
        spawned = resolve;
      });
    await a.crash('OOM');
    clock.advance(0);
    const { load, end } = loading();
    void loop.stopThenTurn(load, 'B');
    await settle();
    const late = new FakeDetector('A');
    spawned(late);
    await settle();
    expect([late.closed, loop.active]).toEqual([true, null]);
    end().resolve(new FakeDetector('B'));
    await settle();
    expect(loop.active?.digest).toBe('B');
  });

  it('closes what was loaded when the agent stopped meanwhile', async () => {
    const { loop } = await setUp();
    const b = new FakeDetector('B');
    const { load, end } = loading();
    const first = expect(loop.stopThenTurn(load, 'B')).rejects.toMatchObject({ code: 'STOPPED' });
    await settle();
    await loop.stop();
    end().resolve(b);
    await first;
    expect([b.closed, loop.active]).toEqual([true, null]);
  });
});
