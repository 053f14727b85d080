/** A condition did not come true in time. `what` names it in words a user understands. */
export class WaitTimeoutError extends Error {
  override readonly name = 'WaitTimeoutError';
  constructor(
    readonly what: string,
    timeoutMs: number,
  ) {
    super(`waited ${Math.round(timeoutMs / 1000)} s in vain for ${what}`);
  }
}

export interface WaitOptions {
  timeoutMs: number;
  /** Time between two looks, ms. */
  everyMs?: number;
  /** Looked at each time too; throws to end the waiting early, e.g. because a process died. */
  guard?: () => void;
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Looks until `probe` returns something other than undefined, null or false; throws WaitTimeoutError at the deadline. */
export async function waitFor<T>(
  what: string,
  probe: () => T | undefined | null | false | Promise<T | undefined | null | false>,
  { timeoutMs, everyMs = 50, guard }: WaitOptions,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    guard?.();
    const value = await probe();
    if (value !== undefined && value !== null && value !== false) return value;
    if (performance.now() > deadline) throw new WaitTimeoutError(what, timeoutMs);
    await pause(everyMs);
  }
}
