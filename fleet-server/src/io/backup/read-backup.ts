import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { PassThrough, type Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { Value } from '@sinclair/typebox/value';
import { CIPHER_MAGIC, CipherError, decrypting } from './backup-cipher.js';
import { BackupError, FILE_NAME, FORMAT, MANIFEST, Manifest } from './backup-format.js';
import { type TarEntry, TarError, tarEntries } from './tar-stream.js';

/** Largest manifest, bytes: a million objects. */
const MAX_MANIFEST = 256 * 1024 * 1024;

/**
 * Reads a backup to its end and checks every byte of it: the frames of the cipher, the checksum of gzip, the names and hashes of
 * the manifest. `into` is a folder that its files are written to; null only checks. Throws BackupError.
 */
export async function readBackup(path: string, passphrase: string | null, into: string | null): Promise<Manifest> {
  const input = await openBackup(path, passphrase);
  try {
    return await extract(input, into);
  } catch (error) {
    throw explain(error, path);
  } finally {
    input.destroy();
  }
}

async function openBackup(path: string, passphrase: string | null): Promise<Readable> {
  const head = Buffer.alloc(CIPHER_MAGIC.length);
  try {
    const handle = await open(path, 'r');
    await handle.read(head, 0, head.length, 0).finally(() => handle.close());
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new BackupError('BACKUP_UNREADABLE', `${path}: cannot be read (${code}); name an existing backup`);
  }
  const encrypted = head.equals(CIPHER_MAGIC);
  if (encrypted && passphrase === null)
    throw new BackupError('PASSPHRASE_MISSING', `${path}: is encrypted; give its passphrase with --passphrase-file`);
  if (!encrypted && (head[0] !== 0x1f || head[1] !== 0x8b))
    throw new BackupError('BACKUP_FOREIGN', `${path}: is no backup of vigie-server`);
  const stages: NodeJS.ReadWriteStream[] = encrypted
    ? [decrypting(passphrase as string), createGunzip()]
    : [createGunzip()];
  const out = new PassThrough();
  let last: NodeJS.ReadableStream = createReadStream(path);
  last.on('error', (error) => out.destroy(error));
  for (const stage of [...stages, out]) {
    stage.on('error', (error) => out.destroy(error as Error));
    last = last.pipe(stage);
  }
  return out;
}

async function extract(input: Readable, into: string | null): Promise<Manifest> {
  const found = new Map<string, { bytes: number; sha256: string }>();
  let manifest: Manifest | null = null;
  for await (const entry of tarEntries(input)) {
    if (manifest !== null) throw new BackupError('BACKUP_DAMAGED', `the backup goes on behind its manifest`);
    if (entry.name === MANIFEST) {
      manifest = await readManifest(entry);
      continue;
    }
    if (!FILE_NAME.test(entry.name) || found.has(entry.name))
      throw new BackupError(
        'BACKUP_FOREIGN',
        `the backup holds a file "${entry.name.slice(0, 100)}", which has no place in it`,
      );
    found.set(entry.name, { bytes: entry.bytes, sha256: await takeFile(entry, into) });
  }
  if (manifest === null) throw new BackupError('BACKUP_TRUNCATED', 'the backup ends before its manifest');
  for (const { name, bytes, sha256 } of manifest.files) {
    const file = found.get(name);
    if (file === undefined) throw new BackupError('BACKUP_DAMAGED', `the backup lacks ${name}`);
    if (file.bytes !== bytes || file.sha256 !== sha256)
      throw new BackupError('BACKUP_DAMAGED', `${name} is not what the manifest says`);
  }
  if (found.size !== manifest.files.length)
    throw new BackupError('BACKUP_DAMAGED', 'the backup holds files that its manifest does not name');
  return manifest;
}

async function readManifest(entry: TarEntry): Promise<Manifest> {
  if (entry.bytes > MAX_MANIFEST) throw new BackupError('BACKUP_FOREIGN', 'the manifest is too large');
  const parts: Buffer[] = [];
  for await (const part of entry.content) parts.push(part);
  let manifest: unknown;
  try {
    manifest = JSON.parse(Buffer.concat(parts).toString());
  } catch {
    throw new BackupError('BACKUP_DAMAGED', 'the manifest is no JSON document');
  }
  const { format } = manifest as { format?: unknown };
  if (typeof format === 'number' && format > FORMAT)
    throw new BackupError(
      'BACKUP_TOO_NEW',
      `the backup has the format ${format}; restore it with a newer vigie-server`,
    );
  if (!Value.Check(Manifest, manifest)) throw new BackupError('BACKUP_DAMAGED', 'the manifest breaks its schema');
  return manifest;
}

async function takeFile(entry: TarEntry, into: string | null): Promise<string> {
  const hash = createHash('sha256');
  if (into === null) {
    for await (const part of entry.content) hash.update(part);
    return hash.digest('hex');
  }
  const path = join(into, entry.name);
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const out = createWriteStream(path, { mode: 0o600, flags: 'wx', flush: true });
  const done = finished(out);
  for await (const part of entry.content) {
    hash.update(part);
    if (!out.write(part))
      await Promise.race([new Promise<void>((resolve) => out.once('drain', () => resolve())), done]);
  }
  out.end();
  await done;
  return hash.digest('hex');
}

function explain(error: unknown, path: string): unknown {
  if (error instanceof CipherError) return new BackupError(error.code, `${path}: ${error.message}`);
  if (error instanceof TarError) {
    const code = error.code === 'TAR_TRUNCATED' ? 'BACKUP_TRUNCATED' : 'BACKUP_DAMAGED';
    return new BackupError(code, `${path}: ${error.message}`);
  }
  if (error instanceof BackupError) return new BackupError(error.code, `${path}: ${error.message}`);
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'Z_BUF_ERROR') return new BackupError('BACKUP_TRUNCATED', `${path}: is cut off`);
  if (code?.startsWith('Z_')) return new BackupError('BACKUP_DAMAGED', `${path}: is damaged (${message})`);
  return error;
}
