import type { Reported } from '@vigie/protocol';

/** How often a report is repeated in the first minutes after a change: somebody waits for the proof. */
const SOON_MS = 10_000;
/** And later: ten thousand boards that say nothing new would be a thousand messages a second. */
const SELDOM_MS = 60_000;
const WATCHED_MS = 120_000;

/** When an unchanged report is published again. All times are ms of one monotonic clock. */
export class ReportCadence {
  #said = '';
  #changedAt = Number.NEGATIVE_INFINITY;

  /** A report that is about to be published. What only counts up (frames, times, progress) is no change. */
  note({ generation, phase, active, candidate, error, configuration, bootId }: Reported, at: number): void {
    const said = JSON.stringify([
      ...[bootId, generation, phase, active?.release.digest, candidate?.digest, error?.code, configuration],
    ]);
    if (said === this.#said) return;
    this.#said = said;
    this.#changedAt = at;
  }

  /** Time until the next one, ms. */
  waitMs(now: number): number {
    return now - this.#changedAt < WATCHED_MS ? SOON_MS : SELDOM_MS;
  }
}
