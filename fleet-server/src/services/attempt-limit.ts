import type { Now } from '../ports.js';

/** Keys that are remembered at the most: whoever has more addresses than this is not stopped by counting them. */
const MAX_KEYS = 10_000;

/** Counts failures per key (an address) in windows of fixed length. */
export class AttemptLimit {
  readonly #failures = new Map<string, { count: number; until: number }>();

  constructor(
    private readonly most: number,
    private readonly windowMs: number,
    private readonly now: Now,
  ) {}

  /** Seconds until the next attempt may be made; 0: now. */
  waitSeconds(key: string): number {
    const entry = this.#failures.get(key);
    if (entry === undefined) return 0;
    const left = entry.until - this.now().getTime();
    // More than a whole window: the clock was set back.
    if (left > 0 && left <= this.windowMs) return entry.count >= this.most ? Math.ceil(left / 1000) : 0;
    this.#failures.delete(key);
    return 0;
  }

  failed(key: string): void {
    const at = this.now().getTime();
    const entry = this.#failures.get(key);
    if (entry !== undefined && entry.until > at) entry.count += 1;
    else {
      if (this.#failures.size >= MAX_KEYS) this.#failures.delete(this.#failures.keys().next().value as string);
      this.#failures.set(key, { count: 1, until: at + this.windowMs });
    }
  }
}
