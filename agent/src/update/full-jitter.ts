/**
 * The wait before a retry: anything from nothing to an exponentially growing bound, so that many who failed together do not come back
 * together ("full jitter": M. Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015).
 * `attempt`: 0 for the first retry. `random`: 0..1. Bounds and result in ms.
 */
export function fullJitterMs(attempt: number, bounds: { first: number; longest: number }, random: number): number {
  return Math.floor(random * Math.min(bounds.longest, bounds.first * 2 ** Math.min(attempt, 30)));
}
