import type { Logger } from 'pino';
import type { ActivityRow } from '../io/database/activity-repository.js';
import { ACTIVITY_KINDS, type ActivityKind } from './activity-kinds.js';

/** Pause between two looks at the table, ms. */
const EVERY_MS = 500;
const PAGE = 500;

export type ActivityListener = (row: ActivityRow) => void;

/**
 * Follows the activity log for all listeners of this process with one query at a time, while there are any. Entries appear in
 * the order of their ids (the trigger `activity_in_order`), so that going on behind the newest one misses nothing.
 */
export class ActivityTail {
  readonly #listeners = new Set<ActivityListener>();
  #position = 0;
  #timer: NodeJS.Timeout | null = null;
  #reading: Promise<void> = Promise.resolve();

  constructor(
    private readonly read: (afterId: number, limit: number) => Promise<ActivityRow[]>,
    private readonly log: Logger,
    private readonly everyMs = EVERY_MS,
  ) {}

  /**
   * From now on `listener` hears every entry; the caller has read up to `position` itself. False: the tail is ahead of that; read on
   * and ask again. It may hear entries up to its position once more.
   */
  join(listener: ActivityListener, position: number): boolean {
    if (this.#listeners.size === 0) this.#position = position;
    if (position < this.#position) return false;
    this.#listeners.add(listener);
    this.#schedule(0);
    return true;
  }

  leave(listener: ActivityListener): void {
    this.#listeners.delete(listener);
  }

  get size(): number {
    return this.#listeners.size;
  }

  async close(): Promise<void> {
    this.#listeners.clear();
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#reading;
  }

  #schedule(afterMs: number): void {
    if (this.#timer !== null || this.#listeners.size === 0) return;
    this.#timer = setTimeout(() => {
      this.#reading = this.#look().then((more) => {
        this.#timer = null;
        this.#schedule(more ? 0 : this.everyMs);
      });
    }, afterMs);
    this.#timer.unref();
  }

  /** Is there probably more? */
  async #look(): Promise<boolean> {
    const from = this.#position;
    const rows = await this.read(from, PAGE).catch((error: Error) => {
      this.log.warn({ err: error }, 'the activity log could not be read');
      return [];
    });
    // Everybody left and somebody came meanwhile, from elsewhere.
    if (this.#position !== from) return true;
    for (const row of rows) {
      this.#position = row.id;
      for (const listener of [...this.#listeners]) listener(row);
    }
    return rows.length === PAGE;
  }
}

/** Kinds behind `rollout.*,device.online`. Null: one of them is none. */
export function kindsOf(list: string): ActivityKind[] | null {
  const found = list.split(',').map((wanted) => {
    const group = wanted.endsWith('.*') ? wanted.slice(0, -1) : null;
    return ACTIVITY_KINDS.filter((kind) => (group === null ? kind === wanted : kind.startsWith(group)));
  });
  return found.some((kinds) => kinds.length === 0) ? null : [...new Set(found.flat())];
}
