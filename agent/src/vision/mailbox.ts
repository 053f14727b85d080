/** One place for the newest item: putting a second one in gives the older one back. */
export class Mailbox<T> {
  #item: T | null = null;

  get full(): boolean {
    return this.#item !== null;
  }

  /** Returns the item that was displaced, or null. */
  put(item: T): T | null {
    const displaced = this.#item;
    this.#item = item;
    return displaced;
  }

  take(): T | null {
    const item = this.#item;
    this.#item = null;
    return item;
  }
}
