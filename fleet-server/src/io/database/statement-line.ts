import type { Rank } from './pglite-messages.js';

/** Foreground requests that go before one in the background that waits: it gets its turn, however much people ask. */
const MOST_IN_A_ROW = 8;

/** Who is served next where one is served at a time: foreground first, each rank in the order of arrival. */
export class StatementLine<Request extends { rank: Rank }> {
  readonly #ranks: Record<Rank, Request[]> = { foreground: [], background: [], last: [] };
  #inARow = 0;

  add(request: Request): void {
    this.#ranks[request.rank].push(request);
  }

  /** Undefined: nobody waits. */
  take(): Request | undefined {
    const { foreground, background, last } = this.#ranks;
    if (background.length > 0 && (foreground.length === 0 || this.#inARow >= MOST_IN_A_ROW)) {
      this.#inARow = 0;
      return background.shift();
    }
    if (foreground.length === 0) return last.shift();
    this.#inARow += 1;
    return foreground.shift();
  }
}
