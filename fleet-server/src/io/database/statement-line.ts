import type { Rank } from './pglite-messages.js';

type Shared = Exclude<Rank, 'last'>;

/**
 * Parts of the thread's time that the ranks get while all of them have more to do than there is time for. What boards send is
 * dropped once too much of it waits; a question only takes longer.
 */
const SHARES = { foreground: 4, fleet: 8, background: 1 } as const satisfies Record<Shared, number>;

/**
 * Who is served next where one is served at a time. Ranks share time, not turns: start-time fair queueing (Goyal, Vin and Cheng,
 * 1996). A rank that asks now and then goes before one that always has work; none can keep another waiting for good, however
 * much it has to do. Within a rank it is first come, first served.
 */
export class StatementLine<Request extends { rank: Rank }> {
  readonly #waiting: Record<Rank, Request[]> = { foreground: [], fleet: [], background: [], last: [] };
  /** Work of each rank up to now, ms over its share; for one that comes back after a rest: not before the others' present one. */
  readonly #due: Record<Shared, number> = { foreground: 0, fleet: 0, background: 0 };
  #serving: Shared | null = null;
  #present = 0;

  add(request: Request): void {
    const { rank } = request;
    // Time in which a rank wanted nothing is not kept for it.
    if (rank !== 'last' && this.#waiting[rank].length === 0 && rank !== this.#serving)
      this.#due[rank] = Math.max(this.#due[rank], this.#present);
    this.#waiting[rank].push(request);
  }

  /** Undefined: nobody waits. */
  take(): Request | undefined {
    let first: Shared | null = null;
    for (const rank of Object.keys(SHARES) as Shared[])
      if (this.#waiting[rank].length > 0 && (first === null || this.#due[rank] < this.#due[first])) first = rank;
    this.#serving = first;
    if (first === null) {
      // All are done: whoever comes next is nobody's debtor.
      this.#present = Math.max(...Object.values(this.#due));
      return this.#waiting.last.shift();
    }
    this.#present = this.#due[first];
    return this.#waiting[first].shift();
  }

  /** The one taken last is done; it took so long. */
  served(ms: number): void {
    if (this.#serving === null) return;
    this.#due[this.#serving] += ms / SHARES[this.#serving];
    this.#serving = null;
  }
}
