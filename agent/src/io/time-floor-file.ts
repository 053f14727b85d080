import { join } from 'node:path';
import { writeFileAtomic } from './atomic-file.js';
import type { FileSystem } from './file-system.js';
import { nodeFileSystem } from './node-file-system.js';

/** `<data>/time.json`: the floor of trusted time, so that a board without a clock does not begin at its build time again. */
export class TimeFloorFile {
  private readonly path: string;
  private tail: Promise<void> = Promise.resolve();

  constructor(
    dataDirectory: string,
    private readonly files: FileSystem = nodeFileSystem,
  ) {
    this.path = join(dataDirectory, 'time.json');
  }

  /** ms since 1970; 0 when there is none, or it is damaged: it is only a floor. */
  async load(): Promise<number> {
    try {
      const { floorMs } = JSON.parse((await this.files.readFile(this.path)).toString('utf8')) as { floorMs?: unknown };
      return typeof floorMs === 'number' && Number.isSafeInteger(floorMs) && floorMs > 0 ? floorMs : 0;
    } catch {
      return 0;
    }
  }

  /** Resolves when it is on the disk. */
  save(floorMs: number): Promise<void> {
    const write = this.tail.then(() =>
      writeFileAtomic(this.path, `${JSON.stringify({ floorMs: Math.floor(floorMs) })}\n`, 0o644, this.files),
    );
    this.tail = write.catch(() => {});
    return write;
  }
}
