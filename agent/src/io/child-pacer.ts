import { quantile } from '../update/quantile.js';
import type { CpuQuota } from './cpu-quota.js';

/** Time and signals, as an argument. */
export interface PacerWorld {
  /** Monotonic, ms. */
  now(): number;
  /** Runs once after `ms`; returns a function that cancels it. */
  after(ms: number, run: () => void): () => void;
  /** Stops or continues a process; false when it is gone. */
  signal(pid: number, signal: 'SIGSTOP' | 'SIGCONT'): boolean;
}

/** Left to the board's own fluctuation, share of the quota. */
const MARGIN = 0.1;
/** A paced child gets so much of the quota at the least: a swap has to end. */
const LEAST = 0.2;
/** Longest time a child may run at a stretch, ms: a tenth of the kernel's period of 100 ms. */
const SLICE_MS = 10;
/** After so long in one piece of work the child runs freely: a board without CPU to spare still gets its model, ms. */
const PATIENCE_MS = 5000;
/** How often the board's own use is measured, ms, and how many such times are looked at. */
const SAMPLE_MS = 1000;
const SAMPLES = 15;

interface Work {
  since: number;
  /** It runs, it is stopped, or it has nothing to do (and runs). */
  state: 'running' | 'stopped' | 'resting';
  /** CPU time it may take, ms; negative after a slice that was too long. */
  credit: number;
  /** Up to when the credit was reckoned. */
  at: number;
  cancel: () => void;
}

/**
 * Under a CPU quota a low priority helps nothing: whoever uses the quota up has the kernel stop every process of the board,
 * the live detector too, for the rest of the period. So a child that works beside the live one is stopped and let go again
 * (SIGSTOP, SIGCONT) such that on the average it takes only what the board leaves over.
 */
export class ChildPacer {
  /** A child that may be stopped is started by this command: it must not stay behind, stopped, when the agent is killed. */
  readonly launcher: readonly string[];
  readonly #quota: CpuQuota;
  readonly #world: PacerWorld;
  readonly #work = new Map<number, Work>();
  /** CPU use of the board, processors' worth, while no child was paced; newest last. */
  readonly #uses: number[] = [];
  #cancelSample: () => void = () => {};

  constructor(quota: CpuQuota, launcher: readonly string[], world: PacerWorld) {
    this.launcher = launcher;
    this.#quota = quota;
    this.#world = world;
    this.#sample(null, world.now());
  }

  /** Processors' worth that paced children may take together. */
  get share(): number {
    const { cpus } = this.#quota;
    const use = this.#uses.length === 0 ? cpus / 2 : quantile(this.#uses, 0.5);
    return Math.max(cpus * LEAST, cpus * (1 - MARGIN) - use);
  }

  /** The child has something to do from now on. */
  begin(pid: number): void {
    const now = this.#world.now();
    const known = this.#work.get(pid);
    const work: Work = known ?? { since: now, state: 'resting', credit: SLICE_MS, at: now, cancel: () => {} };
    if (work.state !== 'resting') return;
    this.#work.set(pid, work);
    this.#reckon(work, now);
    work.state = 'running';
    this.#later(pid, work, Math.max(0, work.credit));
  }

  /** It waits for more to do. */
  rest(pid: number): void {
    const work = this.#work.get(pid);
    if (work === undefined || work.state === 'resting') return;
    work.cancel();
    this.#reckon(work, this.#world.now());
    if (work.state === 'stopped') this.#world.signal(pid, 'SIGCONT');
    work.state = 'resting';
  }

  /** It is gone, or no longer to be paced. */
  end(pid: number): void {
    this.rest(pid);
    this.#work.delete(pid);
  }

  close(): void {
    this.#cancelSample();
    for (const pid of [...this.#work.keys()]) this.end(pid);
  }

  #later(pid: number, work: Work, ms: number): void {
    work.cancel = this.#world.after(ms, () => this.#step(pid, work));
  }

  /** Stops a child whose slice is over, lets the next slice begin. */
  #step(pid: number, work: Work): void {
    const now = this.#world.now();
    if (now - work.since > PATIENCE_MS) {
      this.end(pid);
      return;
    }
    this.#reckon(work, now);
    const running = work.state === 'running';
    if (!this.#world.signal(pid, running ? 'SIGSTOP' : 'SIGCONT')) {
      this.#work.delete(pid);
      return;
    }
    work.state = running ? 'stopped' : 'running';
    this.#later(pid, work, running ? Math.max(1, (SLICE_MS - work.credit) / this.#shareOfOne) : SLICE_MS);
  }

  get #shareOfOne(): number {
    return this.share / Math.max(1, this.#busy);
  }

  /** Children that have something to do. */
  get #busy(): number {
    return [...this.#work.values()].filter(({ state }) => state !== 'resting').length;
  }

  #reckon(work: Work, now: number): void {
    const ms = now - work.at;
    if (work.state === 'running') work.credit -= ms;
    work.credit = Math.min(SLICE_MS, work.credit + this.#shareOfOne * ms);
    work.at = now;
  }

  #sample(before: number | null, startedAt: number): void {
    this.#cancelSample = this.#world.after(SAMPLE_MS, () => {
      const now = this.#world.now();
      const after = this.#busy === 0 ? this.#quota.usedMs() : null;
      if (before !== null && after !== null && now > startedAt) {
        this.#uses.push((after - before) / (now - startedAt));
        if (this.#uses.length > SAMPLES) this.#uses.shift();
      }
      this.#sample(after, now);
    });
  }
}
