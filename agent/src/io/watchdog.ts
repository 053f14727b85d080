import type { Clock } from '../ports.js';

/** Calls `onSilence` once when `feed()` was not called for `limitMs`; `feed()` costs one clock read, no timer. */
export class Watchdog {
  readonly #clock: Clock;
  readonly #limitMs: number;
  readonly #onSilence: () => void;
  #lastFed = 0;
  #held = false;
  #cancel: (() => void) | null = null;

  constructor(clock: Clock, limitMs: number, onSilence: () => void) {
    this.#clock = clock;
    this.#limitMs = limitMs;
    this.#onSilence = onSilence;
  }

  start(): void {
    this.stop();
    this.#lastFed = this.#clock.now();
    this.#arm(this.#limitMs);
  }

  feed(): void {
    this.#lastFed = this.#clock.now();
  }

  /** While held, silence is wanted and never counts. */
  hold(held: boolean): void {
    this.#held = held;
    this.feed();
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = null;
  }

  #arm(ms: number): void {
    this.#cancel = this.#clock.after(ms, () => {
      if (this.#held) this.feed();
      const left = this.#lastFed + this.#limitMs - this.#clock.now();
      if (left > 0) {
        this.#arm(left);
        return;
      }
      this.#cancel = null;
      this.#onSilence();
    });
  }
}
