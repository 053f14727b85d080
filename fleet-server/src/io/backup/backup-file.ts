import { createWriteStream } from 'node:fs';
import { access, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { syncFolder } from '../atomic-file.js';
import { encrypting } from './backup-cipher.js';
import { BackupError, type Manifest } from './backup-format.js';
import { readBackup } from './read-backup.js';

/** Shortest passphrase, characters. */
const LEAST = 12;

/** First line of a file. Throws BackupError. */
export async function readPassphrase(path: string | undefined): Promise<string | null> {
  if (path === undefined) return null;
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new BackupError('BACKUP_UNREADABLE', `--passphrase-file ${path}: cannot be read (${error.code})`);
  });
  const [passphrase] = text.split(/\r?\n/);
  if (passphrase.length < LEAST)
    throw new BackupError(
      'PASSPHRASE_MISSING',
      `--passphrase-file ${path}: its first line has fewer than ${LEAST} characters`,
    );
  return passphrase;
}

/**
 * Writes a backup (mode 0600) and reads it again before it gets its name: what stands there is whole. Throws BackupError; then
 * nothing remains.
 */
export async function storeBackup(stream: Readable, path: string, passphrase: string | null): Promise<Manifest> {
  if (
    await access(path).then(
      () => true,
      () => false,
    )
  ) {
    stream.destroy();
    throw new BackupError('OUTPUT_EXISTS', `${path}: is there already; name another file or move it away`);
  }
  const part = `${path}.part`;
  await rm(part, { force: true });
  try {
    const out = createWriteStream(part, { mode: 0o600, flags: 'wx', flush: true });
    if (passphrase === null) await pipeline(stream, out);
    else await pipeline(stream, await encrypting(passphrase), out);
    const manifest = await readBackup(part, passphrase, null);
    await rename(part, path);
    await syncFolder(dirname(path));
    return manifest;
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
}
