/** How far a believed wall clock may stand behind a signed moment: clocks of server and board differ by that. ms. */
const SKEW_MS = 5 * 60_000;
/** A signed moment further ahead of a synchronised clock is a mistake of the signer's clock, ms. */
const AHEAD_MS = 24 * 3_600_000;

export interface TimeSources {
  /** Monotonic, ms. */
  now(): number;
  /** Wall clock, ms since 1970. */
  wall(): number;
  /** What the system says of its wall clock; null: it does not say. */
  synchronised(): boolean | null;
}

export interface BelievedTime {
  /** ms since 1970. */
  ms: number;
  /** False: the wall clock is not believed; `ms` is the newest proven moment and the time since. */
  trusted: boolean;
}

/**
 * The time by which signatures, metadata and commands are judged. A board's clock may be years off until it was set; what
 * was signed proves that at least so much time is over. Only signed moments raise the floor, never the wall clock: a
 * clock that runs ahead for a while leaves nothing behind.
 */
export class TrustedTime {
  private floorMs: number;
  private floorAt: number;

  /** `provenMs`: moments that are proven already (build time, the floor of an earlier run), ms since 1970. */
  constructor(
    private readonly sources: TimeSources,
    provenMs: readonly number[],
  ) {
    this.floorMs = Math.max(0, ...provenMs);
    this.floorAt = sources.now();
  }

  /** At least so late it is: the newest proven moment and the monotonic time since. ms since 1970. */
  get floor(): number {
    return this.floorMs + (this.sources.now() - this.floorAt);
  }

  believed(): BelievedTime {
    const { floor } = this;
    const wall = this.sources.wall();
    const trusted = this.sources.synchronised() !== false && wall >= floor - SKEW_MS;
    return { ms: trusted ? Math.max(wall, floor) : floor, trusted };
  }

  /** Takes a moment out of signed data. False: it was no news, or it is too far ahead of a synchronised clock. */
  prove(ms: number): boolean {
    if (!Number.isFinite(ms) || ms <= this.floor) return false;
    if (this.sources.synchronised() === true) {
      const { trusted, ms: present } = this.believed();
      if (trusted && ms > present + AHEAD_MS) return false;
    }
    this.floorMs = ms;
    this.floorAt = this.sources.now();
    return true;
  }
}
