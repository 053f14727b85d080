import type { Logger } from 'pino';
import { isDatabaseUnavailable } from '../database-error.js';

/** Entries in one transaction: the embedded database takes some 0.2 ms for each, and a question waits for the one under way. */
const BATCH = 64;
/** The same when so much waits that it must be worked off: a tenth less work for each; with more still, nothing is gained. */
const MAX_BATCH = 128;
const MUCH = 4096;
/** A commit begins no sooner after the one before: a busy fleet's messages share transactions, ms. */
const GATHER_MS = 50;
/** How long before a database that is away is asked again, ms. */
const HOLD_MS = 1000;

interface Place<Entry> {
  entry: Entry;
  /** It may spoil a batch: committed on its own. */
  alone: boolean;
  done: () => void;
  giveBack: (error: Error) => void;
}

/** A line in front of the database: what comes is committed in batches and in order; what gathers during a commit goes next. */
export class IngestLane<Entry> {
  readonly #waiting: Place<Entry>[] = [];
  #flushing: Promise<void> | null = null;
  #committedAt = Number.NEGATIVE_INFINITY;
  #held = false;
  #stopped = false;
  #goOn: () => void = () => undefined;

  /**
   * `commit`: all or none of them; rejects with an unavailable database, which is waited for, or because of one entry: then each
   * goes on its own, and what fails still is given to `failed`.
   */
  constructor(
    /** What lies in it, for the log. */
    private readonly name: string,
    private readonly commit: (entries: readonly Entry[]) => Promise<void>,
    private readonly failed: (entry: Entry, error: Error) => void,
    private readonly log: Logger,
  ) {}

  /** Resolves when the entry is committed or has failed; rejects when this is stopped before. */
  take(entry: Entry, alone: boolean): Promise<void> {
    return new Promise((done, giveBack) => {
      this.#waiting.push({ entry, alone, done, giveBack });
      this.#flushing ??= this.#flush();
    });
  }

  /** Holds nothing any more: what cannot be committed now is given back. */
  stop(): void {
    this.#stopped = true;
    this.#goOn();
  }

  async idle(): Promise<void> {
    await this.#flushing;
  }

  async #flush(): Promise<void> {
    // What comes in the same turn goes in the same batch.
    await null;
    while (this.#waiting.length > 0) {
      await this.#gather();
      const size = this.#waiting.length < MUCH ? BATCH : MAX_BATCH;
      const alone = this.#waiting.slice(0, size).findIndex((place) => place.alone);
      const places = this.#waiting.splice(0, alone < 0 ? size : Math.max(1, alone));
      try {
        await this.#commit(places);
        this.#committedAt = performance.now();
        this.#held = false;
      } catch (error) {
        await this.#retry(places, error as Error);
      }
    }
    // In this turn, not in a later one: who enters next must find that nobody flushes, or the entry would lie there.
    this.#flushing = null;
  }

  async #commit(places: readonly Place<Entry>[]): Promise<void> {
    await this.commit(places.map(({ entry }) => entry));
    for (const { done } of places) done();
  }

  /** After a quiet time an entry goes at once. */
  async #gather(): Promise<void> {
    const leftMs = this.#committedAt + GATHER_MS - performance.now();
    if (leftMs <= 0 || this.#waiting.length >= BATCH || this.#stopped) return;
    await new Promise<void>((resolve) => setTimeout(resolve, leftMs));
  }

  /** A batch that was not committed: it waits for a database that is away; else one entry may have spoilt it for all. */
  async #retry(places: readonly Place<Entry>[], error: Error): Promise<void> {
    if (isDatabaseUnavailable(error)) return this.#hold(places, error);
    if (places.length === 1) return this.#fail(places[0], error);
    for (const [index, place] of places.entries()) {
      try {
        await this.#commit([place]);
      } catch (cause) {
        if (isDatabaseUnavailable(cause)) return this.#hold(places.slice(index), cause as Error);
        this.#fail(place, cause as Error);
      }
    }
  }

  async #hold(places: readonly Place<Entry>[], error: Error): Promise<void> {
    if (this.#stopped) {
      for (const { giveBack } of places) giveBack(error);
      return;
    }
    if (!this.#held)
      this.log.error({ lane: this.name, err: error.message }, 'the database is away: messages of boards wait');
    this.#held = true;
    this.#waiting.unshift(...places);
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, HOLD_MS);
      this.#goOn = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #fail({ entry, done }: Place<Entry>, error: Error): void {
    this.failed(entry, error);
    done();
  }
}
