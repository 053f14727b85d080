import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from './atomic-file.js';

/** `<data>/time.json`: the floor of trusted time, so that a board without a clock does not begin at its build time again. */
export class TimeFloorFile {
  private readonly path: string;
  private tail: Promise<void> = Promise.resolve();

  constructor(dataDirectory: string) {
    this.path = join(dataDirectory, 'time.json');
  }

  /** ms since 1970; 0 when there is none, or it is damaged: it is only a floor. */
  async load(): Promise<number> {
    try {
      const { floorMs } = JSON.parse(await readFile(this.path, 'utf8')) as { floorMs?: unknown };
      return typeof floorMs === 'number' && Number.isSafeInteger(floorMs) && floorMs > 0 ? floorMs : 0;
    } catch {
      return 0;
    }
  }

  /** Resolves when nothing is under way. */
  async settled(): Promise<void> {
    await this.tail;
  }

  /** Resolves when it is on the disk. */
  save(floorMs: number): Promise<void> {
    const write = this.tail.then(() =>
      writeFileAtomic(this.path, `${JSON.stringify({ floorMs: Math.floor(floorMs) })}\n`),
    );
    this.tail = write.catch(() => {});
    return write;
  }
}
