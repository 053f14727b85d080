import { describe, expect, it } from 'vitest';
import { ChildPacer } from './child-pacer.js';

/** A machine of one paced child: time passes by hand, and the child's CPU time is the time it was not stopped. */
class World {
  time = 0;
  /** CPU time of the rest of the board, ms per ms. */
  steady = 0;
  stopped = false;
  gone = false;
  childMs = 0;
  signals: string[] = [];
  private timers: { at: number; run: () => void }[] = [];

  now = (): number => this.time;
  after = (ms: number, run: () => void): (() => void) => {
    const timer = { at: this.time + ms, run };
    this.timers.push(timer);
    return () => {
      this.timers = this.timers.filter((one) => one !== timer);
    };
  };
  signal = (_pid: number, signal: 'SIGSTOP' | 'SIGCONT'): boolean => {
    if (this.gone) return false;
    this.signals.push(signal);
    this.stopped = signal === 'SIGSTOP';
    return true;
  };
  pacer = (cpus: number): ChildPacer => {
    return new ChildPacer({ cpus, usedMs: () => this.time * this.steady }, ['launcher'], this);
  };

  pass(ms: number): void {
    for (const end = this.time + ms; this.time < end; this.time += 1) {
      for (const due of this.timers.filter(({ at }) => at <= this.time)) {
        this.timers = this.timers.filter((one) => one !== due);
        due.run();
      }
      if (!this.stopped) this.childMs += 1;
    }
  }
}

const PID = 7;

describe('ChildPacer', () => {
  it('leaves a working child what the board does not use of its quota, less a margin', () => {
    const world = new World();
    world.steady = 0.2;
    const pacer = world.pacer(0.5);
    world.pass(5000);
    expect(pacer.share).toBeCloseTo(0.25, 2);
    world.childMs = 0;
    pacer.begin(PID);
    world.pass(4000);
    expect(world.childMs / 4000).toBeGreaterThan(0.22);
    expect(world.childMs / 4000).toBeLessThan(0.27);
  });

  it('never lets it run for long at a stretch, nor a new piece of work begin with a fresh credit', () => {
    const world = new World();
    world.steady = 0.3;
    const pacer = world.pacer(0.5);
    world.pass(5000);
    world.childMs = 0;
    let stretch = 0;
    let longest = 0;
    pacer.begin(PID);
    for (let ms = 0; ms < 3000; ms += 1) {
      // Many small pieces of work: an inference each 20 ms.
      if (ms % 20 === 0) {
        pacer.rest(PID);
        pacer.begin(PID);
      }
      world.pass(1);
      stretch = world.stopped ? 0 : stretch + 1;
      longest = Math.max(longest, stretch);
    }
    expect(longest).toBeLessThan(20);
    expect(world.childMs / 3000).toBeLessThan(0.2);
  });

  it('gives it a fifth of the quota even when the board needs all', () => {
    const world = new World();
    world.steady = 0.6;
    const pacer = world.pacer(0.5);
    world.pass(5000);
    expect(pacer.share).toBeCloseTo(0.1, 5);
  });

  it('lets a child that rests, or is promoted, run', () => {
    const world = new World();
    const pacer = world.pacer(0.5);
    for (const release of [() => pacer.rest(PID), () => pacer.end(PID)]) {
      pacer.begin(PID);
      world.pass(15);
      expect(world.stopped).toBe(true);
      release();
      expect(world.stopped).toBe(false);
      world.pass(500);
      expect(world.stopped).toBe(false);
    }
  });

  it('gives up after five seconds: the model has to come', () => {
    const world = new World();
    const pacer = world.pacer(0.5);
    pacer.begin(PID);
    world.pass(5200);
    world.childMs = 0;
    world.pass(1000);
    expect(world.childMs).toBe(1000);
  });

  it('forgets a child that is gone', () => {
    const world = new World();
    const pacer = world.pacer(0.5);
    pacer.begin(PID);
    world.gone = true;
    world.pass(1000);
    expect(world.signals).toEqual([]);
    pacer.end(PID);
  });

  it('measures the board on while a spare only waits', () => {
    const world = new World();
    const pacer = world.pacer(0.5);
    pacer.begin(PID);
    world.pass(20);
    pacer.rest(PID);
    world.steady = 0.1;
    world.pass(5000);
    expect(pacer.share).toBeCloseTo(0.35, 2);
  });

  it('does not take the work of a child for the use of the board', () => {
    const world = new World();
    world.steady = 0.2;
    const pacer = world.pacer(0.5);
    world.pass(3000);
    pacer.begin(PID);
    world.steady = 0.5;
    world.pass(2000);
    world.steady = 0.2;
    pacer.end(PID);
    expect(pacer.share).toBeCloseTo(0.25, 2);
  });
});
