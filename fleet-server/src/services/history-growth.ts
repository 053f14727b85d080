import type { ReceivedTable } from '../io/database/ingest-rows.js';

export type History = ReceivedTable | 'snapshots';

/**
 * By how many rows the histories of devices have grown since they were last cut. Each cut is a statement of its own, and a fleet of
 * ten thousand boards writes into most histories every minute: they are cut when it is worth it.
 */
export class HistoryGrowth {
  readonly #rows = new Map<string, Map<History, number>>();

  add(deviceId: string, history: History): void {
    const mine = this.#rows.get(deviceId) ?? new Map<History, number>();
    this.#rows.set(deviceId, mine.set(history, (mine.get(history) ?? 0) + 1));
  }

  /** Those that have grown by at least `least(history)` rows; their count begins anew. */
  take(least: (history: History) => number): { deviceId: string; history: History }[] {
    const due: { deviceId: string; history: History }[] = [];
    for (const [deviceId, mine] of this.#rows) {
      for (const [history, rows] of mine) {
        if (rows < least(history)) continue;
        due.push({ deviceId, history });
        mine.delete(history);
      }
      if (mine.size === 0) this.#rows.delete(deviceId);
    }
    return due;
  }
}
