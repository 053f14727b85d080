import { crc32 } from 'node:zlib';
import { MAX_PACKAGE_BYTES, MAX_PACKAGE_FILES } from './limits.js';
import { PackageError } from './package-error.js';

const END_SIGNATURE = 0x06054b50;
const CENTRAL_SIGNATURE = 0x02014b50;
const LOCAL_SIGNATURE = 0x04034b50;
const END_SIZE = 22;
const CENTRAL_SIZE = 46;
const LOCAL_SIZE = 30;

/** One file of an archive; `data` is a view into the archive's bytes. */
export interface ArchiveEntry {
  path: string;
  data: Buffer;
}

/**
 * Reads the strict subset of ZIP that a `.vigie` file is (APPNOTE.TXT 6.3.10): one disk, entries stored without
 * compression, no encryption, no ZIP64, no links, no comment. Nothing is inflated, so nothing can blow up; sizes are
 * checked against the bytes that are there, and contents against their CRC-32.
 * Throws ARCHIVE_INVALID, ARCHIVE_COMPRESSED, TOO_MANY_FILES, TOO_LARGE, PATH_UNSAFE. Names are checked by the caller.
 */
export function readStoredZip(bytes: Buffer): ArchiveEntry[] {
  if (bytes.length > MAX_PACKAGE_BYTES + 1024 * 1024) {
    throw new PackageError(
      'TOO_LARGE',
      `archive of ${bytes.length} bytes exceeds ${MAX_PACKAGE_BYTES} bytes of content; make the package smaller`,
    );
  }
  const end = bytes.length - END_SIZE;
  if (end < 0 || bytes.readUInt32LE(end) !== END_SIGNATURE)
    throw invalid('it does not end as a ZIP without comment does');
  const count = bytes.readUInt16LE(end + 10);
  const directorySize = bytes.readUInt32LE(end + 12);
  const directoryStart = bytes.readUInt32LE(end + 16);
  if (bytes.readUInt32LE(end + 4) !== 0 || bytes.readUInt16LE(end + 8) !== count)
    throw invalid('it spans several disks');
  if (bytes.readUInt16LE(end + 20) !== 0) throw invalid('it carries a comment');
  if (directoryStart + directorySize !== end) throw invalid('its directory is not where the end record says');
  if (count > MAX_PACKAGE_FILES)
    throw new PackageError(
      'TOO_MANY_FILES',
      `archive: ${count} files exceed ${MAX_PACKAGE_FILES}; leave what the model does not need out`,
    );

  const entries: ArchiveEntry[] = [];
  let at = directoryStart;
  let next = 0;
  for (let index = 0; index < count; index++) {
    if (at + CENTRAL_SIZE > end || bytes.readUInt32LE(at) !== CENTRAL_SIGNATURE)
      throw invalid(`directory entry ${index} is broken`);
    const nameLength = bytes.readUInt16LE(at + 28);
    const following = at + CENTRAL_SIZE + nameLength + bytes.readUInt16LE(at + 30) + bytes.readUInt16LE(at + 32);
    if (following > end) throw invalid(`directory entry ${index} is cut off`);
    const path = bytes.toString('utf8', at + CENTRAL_SIZE, at + CENTRAL_SIZE + nameLength);
    const named = JSON.stringify(path.slice(0, 200));
    const flags = bytes.readUInt16LE(at + 8);
    if ((flags & ~0x0800) !== 0) throw invalid(`${named} is encrypted or streamed (flags ${flags})`);
    if (bytes.readUInt16LE(at + 10) !== 0) {
      throw new PackageError(
        'ARCHIVE_COMPRESSED',
        `archive: ${named} is compressed (method ${bytes.readUInt16LE(at + 10)}), and nothing is inflated; ` +
          'make the file with `vigie-models pack`, which stores entries as they are',
      );
    }
    const mode = bytes.readUInt32LE(at + 38) >>> 16;
    if ((mode & 0o170000) !== 0 && (mode & 0o170000) !== 0o100000) {
      throw new PackageError(
        'PATH_UNSAFE',
        `archive: ${named} is a link or special file; a package holds plain files only`,
      );
    }
    const crc = bytes.readUInt32LE(at + 16);
    const size = bytes.readUInt32LE(at + 20);
    if (bytes.readUInt32LE(at + 24) !== size) throw invalid(`${named} has two sizes`);
    const local = bytes.readUInt32LE(at + 42);
    // Entries follow one another without gap or overlap: no byte is hidden and none counts twice.
    if (local !== next || local + LOCAL_SIZE > directoryStart || bytes.readUInt32LE(local) !== LOCAL_SIGNATURE) {
      throw invalid(`${named} does not start where the one before it ends`);
    }
    const localName = bytes.toString('utf8', local + LOCAL_SIZE, local + LOCAL_SIZE + bytes.readUInt16LE(local + 26));
    const start = local + LOCAL_SIZE + bytes.readUInt16LE(local + 26) + bytes.readUInt16LE(local + 28);
    if (localName !== path || bytes.readUInt32LE(local + 18) !== size)
      throw invalid(`${named} differs between directory and file header`);
    next = start + size;
    if (next > directoryStart) throw invalid(`${named} is cut off`);
    const data = bytes.subarray(start, next);
    if (crc32(data) !== crc) throw invalid(`${named} does not match its checksum; fetch the file again`);
    entries.push({ path, data });
    at = following;
  }
  if (at !== end || next !== directoryStart) throw invalid('it holds bytes that belong to no entry');
  return entries;
}

function invalid(problem: string): PackageError {
  return new PackageError('ARCHIVE_INVALID', `not a .vigie archive: ${problem}; make one with \`vigie-models pack\``);
}
