/** What many ask for one by one, asked in few questions: while one runs, what comes gathers for the next. */
export class Batch<Key, Value> {
  #waiting = new Map<Key, { resolve: (value: Value | null) => void; reject: (error: Error) => void }[]>();
  #running = false;

  /** `most`: keys in one question. `ask` answers with the values of the keys that have one. */
  constructor(
    private readonly most: number,
    private readonly ask: (keys: readonly Key[]) => Promise<ReadonlyMap<Key, Value>>,
  ) {}

  /** Null: there is none. Rejects with what `ask` throws. */
  get(key: Key): Promise<Value | null> {
    return new Promise((resolve, reject) => {
      this.#waiting.set(key, [...(this.#waiting.get(key) ?? []), { resolve, reject }]);
      if (!this.#running) void this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#running = true;
    // Whoever asks in this very turn of the event loop comes along.
    await Promise.resolve();
    while (this.#waiting.size > 0) {
      const batch = [...this.#waiting].slice(0, this.most);
      for (const [key] of batch) this.#waiting.delete(key);
      try {
        const found = await this.ask(batch.map(([key]) => key));
        for (const [key, askers] of batch) for (const { resolve } of askers) resolve(found.get(key) ?? null);
      } catch (error) {
        for (const [, askers] of batch) for (const { reject } of askers) reject(error as Error);
      }
    }
    this.#running = false;
  }
}
