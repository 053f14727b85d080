/** Full jitter (AWS Architecture Blog, "Exponential Backoff And Jitter"): a random wait up to a bound that doubles. */
export interface Backoff {
  baseMs: number;
  capMs: number;
}

/** Wait before the next attempt, ms. `attempts`: those that failed, at least 1; `random`: 0..1. */
export function fullJitter({ baseMs, capMs }: Backoff, attempts: number, random: number): number {
  return Math.round(random * Math.min(capMs, baseMs * 2 ** Math.min(attempts - 1, 40)));
}
