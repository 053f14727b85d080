import type { Clock } from '../ports.js';

/** A child that lived so long was well: its death starts a new count. */
const WELL_AFTER_MS = 60_000;
/** The first attempts are quick, so that one crash costs no more than loading takes; then 15 s × 2ⁿ. */
const QUICK_MS = [0, 500];
const FIRST_SLOW_MS = 15_000;
const MAX_MS = 240_000;

/** How long to wait before a dead inference child is started again. */
export class RespawnBackoff {
  readonly #clock: Clock;
  #attempt = 0;
  #startedAt = Number.POSITIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A child has loaded its model. */
  started(): void {
    this.#startedAt = this.#clock.now();
  }

  /** Wait before the next attempt, ms. */
  nextMs(): number {
    if (this.#clock.now() - this.#startedAt >= WELL_AFTER_MS) this.#attempt = 0;
    this.#startedAt = Number.POSITIVE_INFINITY;
    const attempt = this.#attempt;
    this.#attempt += 1;
    if (attempt < QUICK_MS.length) return QUICK_MS[attempt];
    return Math.min(MAX_MS, FIRST_SLOW_MS * 2 ** Math.min(attempt - QUICK_MS.length, 10));
  }
}
