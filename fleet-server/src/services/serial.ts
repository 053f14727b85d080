/** Runs tasks one after the other, in the order they came; a failed one does not stop the next. */
export class Serial {
  #last: Promise<unknown> = Promise.resolve();

  run<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#last.then(task, task);
    this.#last = result.catch(() => undefined);
    return result;
  }

  /** Resolves when everything that was queued has ended. */
  async idle(): Promise<void> {
    await this.#last;
  }
}
