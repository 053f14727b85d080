/**
 * Frames that were captured and not detected on, by reason: `busy` (a newer one came first), `overrun` (no free slot when it
 * arrived), `no-detector` (no model was loaded), `swap` (one model was stopped and the next still loads), `detector-died` (the
 * child ended while it had the frame).
 */
export class DropCounter {
  readonly #counts: Record<string, number> = {};

  get counts(): Readonly<Record<string, number>> {
    return this.#counts;
  }

  add(reason: string, count: number): void {
    if (count > 0) this.#counts[reason] = (this.#counts[reason] ?? 0) + count;
  }
}
