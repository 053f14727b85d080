export interface Percentiles {
  p50: number;
  p95: number;
  p99: number;
}

/** The newest `capacity` samples in one buffer that is never allocated again. */
export class SampleWindow {
  private readonly samples: Float64Array;
  private readonly scratch: Float64Array;
  private next = 0;
  private filled = 0;

  /** @throws RangeError when `capacity` is not a positive integer. */
  constructor(capacity: number) {
    if (!Number.isInteger(capacity) || capacity < 1)
      throw new RangeError(`capacity: ${capacity}, want a positive integer`);
    this.samples = new Float64Array(capacity);
    this.scratch = new Float64Array(capacity);
  }

  /** Samples held. */
  get count(): number {
    return this.filled;
  }

  /** Samples that are not finite are ignored: one broken clock reading must not spoil a window. */
  add(sample: number): void {
    if (!Number.isFinite(sample)) return;
    this.samples[this.next] = sample;
    this.next = (this.next + 1) % this.samples.length;
    if (this.filled < this.samples.length) this.filled++;
  }

  /** Nearest-rank percentiles; null while the window is empty. */
  percentiles(): Percentiles | null {
    if (this.filled === 0) return null;
    const sorted = this.scratch.subarray(0, this.filled);
    sorted.set(this.samples.subarray(0, this.filled));
    sorted.sort();
    return { p50: nearestRank(sorted, 0.5), p95: nearestRank(sorted, 0.95), p99: nearestRank(sorted, 0.99) };
  }

  clear(): void {
    this.next = 0;
    this.filled = 0;
  }
}

/** The smallest sample that at least `share` of all samples do not exceed. */
function nearestRank(sorted: Float64Array, share: number): number {
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
}

/** Happenings per second over the last `windowMs`. */
export class RateMeter {
  private readonly times: Float64Array;
  private next = 0;
  private filled = 0;
  private firstMs = Number.NaN;

  /** @param capacity times remembered; above `capacity` happenings in a window the rate is taken over the newest ones. */
  constructor(
    private readonly windowMs: number,
    capacity = 512,
  ) {
    this.times = new Float64Array(capacity);
  }

  /** @param atMs monotonic, ms; never smaller than the one before. */
  mark(atMs: number): void {
    if (Number.isNaN(this.firstMs)) this.firstMs = atMs;
    this.times[this.next] = atMs;
    this.next = (this.next + 1) % this.times.length;
    if (this.filled < this.times.length) this.filled++;
  }

  /** Happenings per second at `nowMs`; 0 when nothing happened in the window. */
  rate(nowMs: number): number {
    let counted = 0;
    let oldest = nowMs;
    for (let back = 1; back <= this.filled; back++) {
      const at = this.times[(this.next - back + this.times.length) % this.times.length];
      if (nowMs - at >= this.windowMs) break;
      counted++;
      oldest = at;
    }
    if (counted === 0) return 0;
    // A full memory says nothing of what came before it, nor does a meter younger than its window: there the oldest
    // happening opens the first interval and ends none.
    const partial = counted === this.times.length || nowMs - this.firstMs < this.windowMs;
    return partial ? ((counted - 1) * 1000) / Math.max(1, nowMs - oldest) : (counted * 1000) / this.windowMs;
  }
}
