import { createHash, randomBytes } from 'node:crypto';
import type { Stats } from 'node:fs';
import { open, readdir, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { ObjectMissingError, type ObjectStore, type StoredObject } from '../ports.js';
import { privateFolder, syncFolder } from './atomic-file.js';

const SHA256 = /^[0-9a-f]{64}$/;

/** Objects as files: `<root>/ab/<sha256>`, written under another name, hashed on the way, then renamed. */
export class FolderObjectStore implements ObjectStore {
  readonly #root: string;
  readonly #incoming: string;

  private constructor(root: string) {
    this.#root = root;
    this.#incoming = join(root, 'incoming');
  }

  /** Opens a folder and clears what an interrupted write left. */
  static async open(root: string): Promise<FolderObjectStore> {
    const store = new FolderObjectStore(root);
    await privateFolder(store.#incoming);
    for (const name of await readdir(store.#incoming)) {
      // What a collection laid aside may be wanted again: it would have looked before deleting.
      const [sha256, rest] = name.split('.');
      if (rest !== undefined) await rename(join(store.#incoming, name), store.#path(sha256));
      else await rm(join(store.#incoming, name), { force: true });
    }
    return store;
  }

  async put(sha256: string, bytes: Readable | Buffer): Promise<void> {
    const target = this.#path(sha256);
    if (await touch(target)) {
      if (bytes instanceof Readable) bytes.destroy();
      return;
    }
    const temporary = join(this.#incoming, randomBytes(12).toString('hex'));
    const hash = createHash('sha256');
    const handle = await open(temporary, 'wx', 0o600);
    try {
      for await (const piece of Buffer.isBuffer(bytes) ? [bytes] : bytes) {
        hash.update(piece);
        await handle.write(piece);
      }
      await handle.sync();
    } catch (error) {
      await handle.close();
      await rm(temporary, { force: true });
      throw error;
    }
    await handle.close();
    const actual = hash.digest('hex');
    if (actual !== sha256) {
      await rm(temporary, { force: true });
      throw new RangeError(`object ${sha256} hashes to ${actual}`);
    }
    const folder = join(this.#root, sha256.slice(0, 2));
    await privateFolder(folder);
    await rename(temporary, target);
    await syncFolder(folder);
  }

  async get(sha256: string): Promise<Buffer> {
    try {
      return await readFile(this.#path(sha256));
    } catch (error) {
      throw missing(sha256, error);
    }
  }

  async read(sha256: string, { offset, length }: { offset: number; length: number }): Promise<Readable> {
    if (length === 0) return Readable.from([]);
    const handle = await open(this.#path(sha256), 'r').catch((error: unknown) => {
      throw missing(sha256, error);
    });
    // The stream closes the file, also when its reader goes away.
    return handle.createReadStream({ start: offset, end: offset + length - 1, highWaterMark: 65_536 });
  }

  async *pieces(sha256: string, places: readonly { offset: number; length: number }[]): AsyncIterable<Buffer> {
    const handle = await open(this.#path(sha256), 'r').catch((error: unknown) => {
      throw missing(sha256, error);
    });
    try {
      for (const { offset, length } of places) {
        // A fresh buffer each time: a retained message keeps its bytes.
        const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafeSlow(length), 0, length, offset);
        yield bytesRead === length ? buffer : Buffer.from(buffer.subarray(0, bytesRead));
      }
    } finally {
      await handle.close();
    }
  }

  async delete(sha256: string): Promise<void> {
    await rm(this.#path(sha256), { force: true });
  }

  async *list(): AsyncIterable<StoredObject> {
    for (const folder of await readdir(this.#root)) {
      if (!/^[0-9a-f]{2}$/.test(folder)) continue;
      for (const name of await readdir(join(this.#root, folder))) {
        if (!SHA256.test(name)) continue;
        const found = await statOf(join(this.#root, folder, name));
        if (found !== null) yield { sha256: name, bytes: found.size, putAt: found.mtime };
      }
    }
  }

  /**
   * By a rename, so that it cannot cross a `put`: one that comes before finds the file and touches it, which is seen here
   * afterwards; one that comes after finds none and writes it anew.
   */
  async collect(sha256: string, before: Date): Promise<boolean> {
    const target = this.#path(sha256);
    const found = await statOf(target);
    if (found === null || found.mtime >= before) return false;
    const aside = join(this.#incoming, `${sha256}.${randomBytes(6).toString('hex')}`);
    try {
      await rename(target, aside);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
      throw error;
    }
    if ((await stat(aside)).mtime >= before) {
      await rename(aside, target);
      return false;
    }
    await rm(aside, { force: true });
    return true;
  }

  #path(sha256: string): string {
    if (!SHA256.test(sha256)) throw new RangeError(`"${sha256.slice(0, 80)}" is no SHA-256`);
    return join(this.#root, sha256.slice(0, 2), sha256);
  }
}

function missing(sha256: string, error: unknown): unknown {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') return error;
  return new ObjectMissingError(`object ${sha256} is not in the store`, { cause: error });
}

/** Marks a file as used now; false: there is none. */
async function touch(path: string): Promise<boolean> {
  const now = new Date();
  return utimes(path, now, now).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return false;
      throw error;
    },
  );
}

async function statOf(path: string): Promise<Stats | null> {
  return stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
}
