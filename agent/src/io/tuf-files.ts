import { access, copyFile, mkdir, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { syncDirectory } from './atomic-file.js';

/** What the metadata folder asks of a disk: each is one step that a crash may come before or after. */
export interface TufFiles {
  exists(path: string): Promise<boolean>;
  list(directory: string): Promise<string[]>;
  read(path: string): Promise<Buffer>;
  makeDirectory(path: string): Promise<void>;
  copy(from: string, to: string): Promise<void>;
  write(path: string, content: string): Promise<void>;
  /** Brings a file's content to the disk. */
  syncFile(path: string): Promise<void>;
  /** Brings names in a folder to the disk. */
  syncDirectory(path: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  /** A file or a folder with all that is in it; nothing when it is not there. */
  remove(path: string): Promise<void>;
}

/** Node's own file system. Folders are made for their owner alone. */
export const nodeTufFiles: TufFiles = {
  exists: (path) =>
    access(path).then(
      () => true,
      () => false,
    ),
  list: (directory) => readdir(directory),
  read: (path) => readFile(path),
  makeDirectory: async (path) => {
    await mkdir(path, { recursive: true, mode: 0o700 });
  },
  copy: (from, to) => copyFile(from, to),
  write: (path, content) => writeFile(path, content, { mode: 0o600 }),
  syncFile: async (path) => {
    const handle = await open(path, 'r');
    await handle.sync().finally(() => handle.close());
  },
  syncDirectory,
  rename,
  remove: (path) => rm(path, { recursive: true, force: true }),
};
