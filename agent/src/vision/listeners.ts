/** Callbacks in the order they were added. */
export class Listeners<A extends unknown[]> {
  #all: readonly ((...values: A) => void)[] = [];

  /** Returns a function that takes the listener off again. */
  add(listener: (...values: A) => void): () => void {
    const entry = (...values: A) => listener(...values);
    this.#all = [...this.#all, entry];
    return () => {
      this.#all = this.#all.filter((other) => other !== entry);
    };
  }

  /** A listener that throws stops those after it: it is a fault of ours and must be seen. */
  emit(...values: A): void {
    for (const listener of this.#all) listener(...values);
  }
}
