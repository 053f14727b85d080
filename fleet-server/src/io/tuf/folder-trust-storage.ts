import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { privateFolder, writeAtomic } from '../atomic-file.js';
import type { StoredTrust, TrustStorage, TrustWrite } from './trust-storage.js';

/** How files are written: replaced in tests that cut it short. */
export interface TrustWriter {
  write(path: string, bytes: Buffer | string): Promise<void>;
  remove(path: string): Promise<void>;
}

export const diskWriter: TrustWriter = {
  write: writeAtomic,
  remove: (path) => rm(path, { force: true }),
};

const STAGED = 'staged';

/** Files in a folder that only one process has open: nobody else writes. */
export class FolderTrustStorage implements TrustStorage {
  constructor(
    readonly place: string,
    private readonly writer: TrustWriter = diskWriter,
  ) {}

  async load(): Promise<StoredTrust> {
    await privateFolder(join(this.place, STAGED));
    const names = (await readdir(this.place)).filter((name) => name.endsWith('.json'));
    const staged = (await readdir(join(this.place, STAGED))).filter((name) => name.endsWith('.json'));
    const files = new Map<string, Buffer>();
    for (const name of [...names, ...staged.map((one) => `${STAGED}/${one}`)])
      files.set(name, await readFile(join(this.place, name)));
    return { revision: 0, files };
  }

  async revision(): Promise<number> {
    return 0;
  }

  async apply(writes: readonly TrustWrite[], revision: number): Promise<number> {
    for (const { name, bytes } of writes) {
      if (bytes === null) await this.writer.remove(join(this.place, name));
      else await this.writer.write(join(this.place, name), bytes);
    }
    return revision;
  }
}
