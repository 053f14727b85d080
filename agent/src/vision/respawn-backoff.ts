import type { Clock } from '../ports.js';

/** A child that lived so long was well: its death starts a new count. */
const WELL_AFTER_MS = 60_000;
/**
 * A board without its model is blind, and a start costs about half a second of one core: so a model that loads is started
 * again within 2 s however often it dies, and only one that does not even load is tried more and more seldom.
 */
const DELAYS_MS = [0, 500, 1000, 2000];
const MAX_FAILED_MS = 60_000;

/** How long to wait before a dead inference child is started again. */
export class RespawnBackoff {
  readonly #clock: Clock;
  #attempt = 0;
  /** When the child loaded its model; null when it did not. */
  #startedAt: number | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A child has loaded its model. */
  started(): void {
    this.#startedAt = this.#clock.now();
  }

  /** Wait before the next attempt, ms. */
  nextMs(): number {
    const loaded = this.#startedAt !== null;
    if (loaded && this.#clock.now() - (this.#startedAt ?? 0) >= WELL_AFTER_MS) this.#attempt = 0;
    this.#startedAt = null;
    const last = DELAYS_MS.length - 1;
    const attempt = loaded ? Math.min(this.#attempt, last) : this.#attempt;
    this.#attempt = attempt + 1;
    if (attempt <= last) return DELAYS_MS[attempt];
    return Math.min(MAX_FAILED_MS, DELAYS_MS[last] * 2 ** (attempt - last));
  }
}
