import { randomUUID } from 'node:crypto';
import { open, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import type { PartialFiles, PieceReceived } from '../services/release-uploads.js';
import { privateFolder, writeAtomic } from './atomic-file.js';

const HOME = 'home';
const PART = /^[0-9a-f-]{36}$/;

/** Files under way as `<folder>/<upload id>`; they outlive the process. How far one has come is its length. */
export class UploadFolder implements PartialFiles {
  private constructor(
    readonly home: string,
    private readonly folder: string,
  ) {}

  /** Opens the folder, and gives it a name of its own when it is new. */
  static async open(folder: string): Promise<UploadFolder> {
    await privateFolder(folder);
    const file = join(folder, HOME);
    let home = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return '';
      throw error;
    });
    if (!PART.test(home)) {
      home = randomUUID();
      await writeAtomic(file, home);
    }
    return new UploadFolder(home, folder);
  }

  path(id: string): string {
    if (!PART.test(id)) throw new RangeError(`"${id.slice(0, 80)}" is no upload`);
    return join(this.folder, id);
  }

  async size(id: string): Promise<{ bytes: number; changedAt: Date | null }> {
    return stat(this.path(id)).then(
      ({ size, mtime }) => ({ bytes: size, changedAt: mtime }),
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return { bytes: 0, changedAt: null };
        throw error;
      },
    );
  }

  /** Whatever ends the stream, what came before it stays; a stream that brings more than `room` leaves nothing of itself. */
  async append(id: string, body: Readable, room: number): Promise<PieceReceived> {
    const handle = await open(this.path(id), 'a', 0o600);
    try {
      const { size: before } = await handle.stat();
      let received = 0;
      let fault: string | null = null;
      try {
        for await (const part of body as AsyncIterable<Buffer>) {
          received += part.length;
          if (received > room) break;
          await handle.writeFile(part);
        }
      } catch (error) {
        fault = (error as NodeJS.ErrnoException).code ?? '';
        if (fault === 'EIO') throw error;
      }
      if (received > room) await handle.truncate(before);
      await handle.sync();
      if (received > room) return { kind: 'too-much' };
      if (fault === null) return { kind: 'all' };
      return { kind: fault === 'ENOSPC' || fault === 'EDQUOT' ? 'full' : 'cut' };
    } finally {
      await handle.close();
    }
  }

  async remove(id: string): Promise<void> {
    await rm(this.path(id), { force: true, recursive: true });
  }

  async ids(): Promise<string[]> {
    return (await readdir(this.folder)).filter((name) => PART.test(name));
  }
}
