import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Zippable, zipSync } from 'fflate';
import { sha256Hex } from './digest.js';
import type { Manifest } from './manifest.js';
import { checkBounds, checkPackage, listFiles, type OpenPackage } from './package.js';
import { PackageError } from './package-error.js';
import { readStoredZip } from './zip-reader.js';

/**
 * Packs a folder into a `.vigie` archive: an uncompressed ZIP with sorted entries and zeroed times, so that the same
 * files give the same bytes. Checks the package as `openPackageDirectory` does and throws its errors.
 */
export async function packDirectory(directory: string): Promise<{ bytes: Buffer; digest: string; manifest: Manifest }> {
  const listed = await listFiles(directory);
  const contents = new Map<string, Buffer>();
  for (const { path } of listed) contents.set(path, await readFile(join(directory, path)));
  const open = await check(contents);
  const entries: Zippable = {};
  // A path starts with a letter (assertSafePath), so the object keeps the order of insertion.
  for (const { path } of listed) entries[path] = contents.get(path)!;
  // The ZIP epoch in local time: the library writes local fields, so every time zone gives the same bytes.
  const zip = zipSync(entries, { level: 0, mtime: new Date(1980, 0, 1) });
  return {
    bytes: Buffer.from(zip.buffer, zip.byteOffset, zip.byteLength),
    digest: open.digest,
    manifest: open.manifest,
  };
}

/** Checks the bytes of an archive without writing anything; also returns the contents, views into `bytes`. */
export async function readArchive(bytes: Buffer): Promise<OpenPackage & { contents: ReadonlyMap<string, Buffer> }> {
  const entries = readStoredZip(bytes);
  checkBounds(entries.map(({ path, data }) => ({ path, size: data.length })));
  const contents = new Map(entries.map(({ path, data }) => [path, data]));
  return { ...(await check(contents)), contents };
}

/**
 * Unpacks an archive into `targetDir`, which is made when missing and must be empty. Everything is checked before the
 * first byte is written. Throws PackageError (also ARCHIVE_INVALID, TARGET_NOT_EMPTY).
 */
export async function unpackArchive(bytes: Buffer, targetDir: string): Promise<OpenPackage> {
  const { contents, ...open } = await readArchive(bytes);
  await mkdir(targetDir, { recursive: true });
  if ((await readdir(targetDir)).length > 0) {
    throw new PackageError('TARGET_NOT_EMPTY', `folder ${targetDir} is not empty; name a new or empty one`);
  }
  for (const [path, data] of contents) {
    const target = join(targetDir, path);
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, data, { flag: 'wx' });
  }
  return open;
}

function check(contents: ReadonlyMap<string, Buffer>): Promise<OpenPackage> {
  const files = [...contents].map(([path, data]) => ({ path, size: data.length, sha256: sha256Hex(data) }));
  return checkPackage(files, async (path) => contents.get(path)!);
}
