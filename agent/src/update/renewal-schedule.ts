/** When a certificate is valid, ms since 1970. */
export interface Validity {
  from: number;
  to: number;
}

/** A wait is never longer: the clock may be set meanwhile, and timers do not count beyond 24 days. */
const LONGEST_WAIT_MS = 3_600_000;
const FIRST_RETRY_MS = 30_000;
const LONGEST_RETRY_MS = 6 * 3_600_000;

/**
 * When to ask for the next certificate, ms since 1970: after two thirds of its life, spread over a further twelfth so that
 * boards enrolled on one day do not come back on one day. `spread`: 0..1, drawn once per certificate.
 */
export function renewalDueAt({ from, to }: Validity, spread: number): number {
  return from + (to - from) * (2 / 3 + spread / 12);
}

/** How long to wait before looking again, ms; 0: it is time. */
export function waitForRenewal(validity: Validity, spread: number, now: number): number {
  return Math.min(Math.max(0, renewalDueAt(validity, spread) - now), LONGEST_WAIT_MS);
}

/** How long to wait after the `failures`-th failure in a row (from 1), ms: exponential with full jitter. `random`: 0..1. */
export function waitAfterFailure(failures: number, random: number): number {
  const most = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(failures - 1, 16));
  return Math.round(FIRST_RETRY_MS / 2 + random * most);
}
