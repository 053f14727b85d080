/** Entries that went and are still in the array. */
const MOST_GONE = 4096;

/**
 * Shares the event loop: what is costly waits in line, and each turn of the loop lets only so much of it through. A thousand
 * boards that fetch a release at the same time would otherwise keep everything else waiting for whole seconds.
 */
export class FairTurns {
  readonly #line: { cost: number; go: () => void }[] = [];
  #head = 0;
  #running = false;

  /** `perTurn`: cost that one turn lets through; at least one entry goes. */
  constructor(private readonly perTurn: number) {}

  /** Resolves when it is the turn of the one that asked. */
  take(cost: number): Promise<void> {
    return new Promise((go) => {
      this.#line.push({ cost, go });
      if (this.#running) return;
      this.#running = true;
      setImmediate(this.#turn);
    });
  }

  readonly #turn = (): void => {
    for (let budget = this.perTurn; budget > 0 && this.#head < this.#line.length; this.#head += 1) {
      const { cost, go } = this.#line[this.#head];
      budget -= cost;
      go();
    }
    const left = this.#line.length - this.#head;
    // Those that went are dropped now and then: a line that never empties must not keep them all.
    if (left === 0 || this.#head > MOST_GONE) {
      this.#line.splice(0, this.#head);
      this.#head = 0;
    }
    this.#running = left > 0;
    if (this.#running) setImmediate(this.#turn);
  };
}
