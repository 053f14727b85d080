/**
 * Limits a rate: tokens (here: bytes) flow in steadily, up to `burst`, and are taken before something is asked for. What was taken
 * beyond the tokens there were is owed, and waited for by who comes next; so one piece may be larger than the burst.
 */
export class TokenBucket {
  private tokens: number;
  private filledAt: number;

  /** `perSecond`: tokens per second. `now`: monotonic, ms. A burst of one second unless given. */
  constructor(
    private readonly perSecond: number,
    now: number,
    private readonly burst = perSecond,
  ) {
    this.tokens = burst;
    this.filledAt = now;
  }

  /** Takes `count` tokens; returns how long to wait before using them, ms. */
  take(count: number, now: number): number {
    this.tokens = Math.min(this.burst, this.tokens + ((now - this.filledAt) * this.perSecond) / 1000);
    this.filledAt = now;
    this.tokens -= count;
    return this.tokens >= 0 ? 0 : Math.ceil((-this.tokens * 1000) / this.perSecond);
  }
}
