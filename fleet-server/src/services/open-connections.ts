/** A connection that stays open longer than the request or login that opened it. */
export interface HeldConnection {
  /** Does what it was opened by still count? Asking is no use of it. */
  counts(): Promise<boolean>;
  end(): void;
}

/**
 * Live streams and MQTT sessions of operators: each ends when its token or login does. They are looked at after every change of
 * tokens, sessions and users here, and from time to time for what ends by itself or was changed by another replica.
 */
export class OpenConnections {
  readonly #held = new Set<HeldConnection>();

  /** Looks at it at once too: its right may have ended while it was opened. Returns how to let go of it. */
  hold(one: HeldConnection): () => void {
    this.#held.add(one);
    void this.#look(one);
    return () => this.#held.delete(one);
  }

  /** Ends those whose right has ended. */
  async check(): Promise<void> {
    for (const one of [...this.#held]) await this.#look(one);
  }

  get size(): number {
    return this.#held.size;
  }

  async #look(one: HeldConnection): Promise<void> {
    // A database that does not answer is no reason to end it.
    const good = await one.counts().catch(() => true);
    if (!good && this.#held.delete(one)) one.end();
  }
}
