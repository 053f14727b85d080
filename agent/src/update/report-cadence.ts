import type { Reported } from '@vigie/protocol';

/** How long until a change is reported once more: somebody waits for the proof that frames go on. */
const SOON_MS = 10_000;
/** And what is known already: ten thousand boards that repeat themselves every 10 s are a thousand messages a second. */
const SELDOM_MS = 60_000;
/** A board that cannot prove anything does not go on for ever. */
const WATCHED_MS = 120_000;

/** When an unchanged report is published again: soon until one has shown that frames were run since the change. Times in ms. */
export class ReportCadence {
  #said = '';
  #changedAt = Number.NEGATIVE_INFINITY;
  #framesThen = 0;
  #proven = true;

  /** A report that is about to be published. What only counts up (frames, times, progress) is no change. */
  note({ generation, phase, active, candidate, error, configuration, bootId }: Reported, at: number): void {
    const said = JSON.stringify([
      ...[bootId, generation, phase, active?.release.digest, candidate?.digest, error?.code, configuration],
    ]);
    if (said === this.#said) {
      this.#proven ||= active === null || active.framesRun > this.#framesThen;
      return;
    }
    this.#said = said;
    this.#changedAt = at;
    this.#framesThen = active?.framesRun ?? 0;
    this.#proven = false;
  }

  /** Time until the next one. */
  waitMs(now: number): number {
    return !this.#proven && now - this.#changedAt < WATCHED_MS ? SOON_MS : SELDOM_MS;
  }
}
