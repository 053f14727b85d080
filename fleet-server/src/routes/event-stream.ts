import type { ServerResponse } from 'node:http';

/** Bytes that wait for a reader before it counts as slow. */
const FULL_BYTES = 1024 * 1024;
/** Signs of life in a row without the reader having taken everything before it is cut. */
const MOST_STALLED_BEATS = 4;

/** One reader's end of Server-Sent Events. */
export class EventStream {
  #stalledBeats = 0;

  constructor(readonly raw: ServerResponse) {
    raw
      .on('error', () => undefined)
      .on('drain', () => {
        this.#stalledBeats = 0;
      });
  }

  get open(): boolean {
    return !this.raw.destroyed && !this.raw.writableEnded;
  }

  /** Does so much wait for the reader that it must not be given more? */
  get full(): boolean {
    return this.raw.writableLength > FULL_BYTES;
  }

  /** `id`: where to go on when the connection breaks behind this. */
  send(event: string, data: unknown, id?: number): void {
    if (!this.open) return;
    this.raw.write(`${id === undefined ? '' : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  }

  /**
   * A sign of life, to be given in equal times. Cuts a reader that does not take what waits, the end of its stream included; it
   * comes back with Last-Event-ID. Counted in beats, not in time: a process that stood still did not give its readers a chance.
   */
  beat(): void {
    if (this.raw.destroyed) return;
    if (this.open && !this.raw.writableNeedDrain) this.raw.write(': \n\n');
    else if (++this.#stalledBeats >= MOST_STALLED_BEATS) this.raw.destroy();
  }

  /** Resolves when the reader took what was sent, or is gone. */
  async drained(): Promise<void> {
    if (!this.open || !this.raw.writableNeedDrain) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        this.raw.off('drain', done).off('close', done);
        resolve();
      };
      this.raw.on('drain', done).on('close', done);
    });
  }
}
