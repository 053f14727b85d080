/** Token buckets, one per key, in the memory of one process. A full bucket is forgotten: it is what a new key gets. */
export class RateLimit {
  readonly #buckets = new Map<string, { tokens: number; at: number }>();

  constructor(
    /** Tokens that come back, 1/s. */
    private readonly perSecond: number,
    /** Tokens of a full bucket. */
    private readonly burst: number,
    /** Monotonic time, ms. */
    private readonly clock: () => number,
    /** Keys that are remembered at the most; then the one that asked longest ago begins anew. */
    private readonly mostKeys = 20_000,
  ) {}

  /** Takes a token. Returns 0, or in how many whole seconds one will be there. */
  take(key: string): number {
    const at = this.clock();
    const bucket = this.#buckets.get(key) ?? { tokens: this.burst, at };
    const tokens = Math.min(this.burst, bucket.tokens + ((at - bucket.at) / 1000) * this.perSecond);
    const wait = tokens >= 1 ? 0 : Math.max(1, Math.ceil((1 - tokens) / this.perSecond));
    // Last in the map: the first one is the one that asked longest ago.
    this.#buckets.delete(key);
    this.#buckets.set(key, { tokens: wait === 0 ? tokens - 1 : tokens, at });
    if (this.#buckets.size > this.mostKeys) this.#buckets.delete(this.#buckets.keys().next().value as string);
    return wait;
  }

  get size(): number {
    return this.#buckets.size;
  }
}

/** Addresses of one network ask as one: a /64 is what a single IPv6 host has. */
export function networkOf(address: string): string {
  if (address.startsWith('::ffff:')) return address.slice(7);
  return address.includes('.') ? address : address.split(':').slice(0, 4).join(':');
}
