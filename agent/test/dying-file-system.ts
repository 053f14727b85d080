import { existsSync, readdirSync, renameSync, statSync, truncateSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { FileSystem, OpenFile } from '../src/io/file-system.js';
import { nodeFileSystem } from '../src/io/node-file-system.js';

/** The process is gone: nothing after this happened. */
export class DiedError extends Error {
  override readonly name = 'DiedError';
}

/**
 * The machine's disk until the operation number `dieAt` (from 0), which does not happen, and nothing after it. Afterwards
 * `cutPower` takes away what no sync has brought to the disk.
 */
export class DyingFileSystem implements FileSystem {
  /** Operations asked for so far. */
  count = 0;
  /** Inodes. */
  private readonly synced = new Set<number>();
  private renames: { from: string; to: string }[] = [];

  constructor(private readonly dieAt = Number.POSITIVE_INFINITY) {}

  readonly open: FileSystem['open'] = async (path, flags, mode) => {
    this.step();
    const file = await nodeFileSystem.open(path, flags, mode);
    return {
      read: (...all) => file.read(...all),
      write: (...all) => this.doing(() => file.write(...all)),
      writeFile: (content) => this.doing(() => file.writeFile(content)),
      appendFile: (content) => this.doing(() => file.appendFile(content)),
      truncate: (size) => this.doing(() => file.truncate(size)),
      stat: () => file.stat(),
      sync: () =>
        this.doing(async () => {
          await file.sync();
          this.synced.add(statSync(path).ino);
        }),
      datasync: () => this.doing(() => file.datasync()),
      // Descriptors of a dead process are closed too.
      close: () => file.close(),
    } satisfies OpenFile;
  };
  readonly readFile: FileSystem['readFile'] = (path) => this.doing(() => nodeFileSystem.readFile(path));
  readonly list: FileSystem['list'] = (path) => this.doing(() => nodeFileSystem.list(path));
  readonly stat: FileSystem['stat'] = (path) => this.doing(() => nodeFileSystem.stat(path));
  readonly freeBytes: FileSystem['freeBytes'] = (path) => this.doing(() => nodeFileSystem.freeBytes(path));
  readonly mkdir: FileSystem['mkdir'] = (path, mode) => this.doing(() => nodeFileSystem.mkdir(path, mode));
  readonly rm: FileSystem['rm'] = (path) => this.doing(() => nodeFileSystem.rm(path));
  readonly copyFile: FileSystem['copyFile'] = (from, to) => this.doing(() => nodeFileSystem.copyFile(from, to));
  readonly rename: FileSystem['rename'] = (from, to) =>
    this.doing(async () => {
      await nodeFileSystem.rename(from, to);
      this.renames.push({ from, to });
    });
  readonly syncDirectory: FileSystem['syncDirectory'] = (path) =>
    this.doing(async () => {
      await nodeFileSystem.syncDirectory(path);
      this.renames = this.renames.filter(({ to }) => dirname(to) !== path);
    });

  /**
   * Files in these folders that were never synced are torn, but those that were `onDisk` (inodes) before; renames without a
   * sync of their folder may be undone.
   */
  cutPower(folders: readonly string[], undoRenames: boolean, onDisk: readonly number[]): void {
    for (const folder of folders) {
      for (const name of existsSync(folder) ? readdirSync(folder) : []) {
        const { ino } = statSync(join(folder, name));
        if (!this.synced.has(ino) && !onDisk.includes(ino)) truncateSync(join(folder, name), 7);
      }
    }
    if (!undoRenames) return;
    for (const { from, to } of this.renames.reverse()) if (existsSync(to) && !existsSync(from)) renameSync(to, from);
  }

  private step(): void {
    this.count += 1;
    if (this.count > this.dieAt) throw new DiedError(`died at operation ${this.dieAt}`);
  }

  private async doing<T>(run: () => Promise<T>): Promise<T> {
    this.step();
    return run();
  }
}
