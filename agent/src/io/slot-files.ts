import { createHash } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { CHUNK_BYTES } from '@vigie/protocol';

/** One piece of a file on the disk. */
export interface Place {
  path: string;
  offset: number;
  length: number;
}

/** Calls back with each 64 KiB piece of a file; the bytes are valid during the call only. A missing file has none. */
export async function eachPiece(
  path: string,
  onPiece: (sha256: string, place: Place) => void,
  signal?: AbortSignal,
): Promise<void> {
  let handle: FileHandle;
  try {
    handle = await open(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  try {
    for (let offset = 0; ; ) {
      signal?.throwIfAborted();
      const length = await readFully(handle, buffer, offset);
      if (length === 0) return;
      const sha256 = createHash('sha256').update(buffer.subarray(0, length)).digest('hex');
      onPiece(sha256, { path, offset, length });
      offset += length;
    }
  } finally {
    await handle.close();
  }
}

/** Reads one piece again. Null when the file is gone or shorter by now. */
export async function readPiece({ path, offset, length }: Place): Promise<Buffer | null> {
  try {
    const handle = await open(path, 'r');
    try {
      const buffer = Buffer.allocUnsafe(length);
      return (await readFully(handle, buffer, offset)) === length ? buffer : null;
    } finally {
      await handle.close();
    }
  } catch {
    return null;
  }
}

async function readFully(handle: FileHandle, buffer: Buffer, offset: number): Promise<number> {
  let filled = 0;
  while (filled < buffer.length) {
    const { bytesRead } = await handle.read(buffer, filled, buffer.length - filled, offset + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return filled;
}

/** Opens a file for writing at any place, at its final size, in folders that are made where they are missing. */
export async function openSized(path: string, size: number): Promise<FileHandle> {
  await mkdir(dirname(path), { recursive: true });
  let handle: FileHandle;
  try {
    handle = await open(path, 'r+');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    handle = await open(path, 'wx+');
  }
  try {
    if ((await handle.stat()).size !== size) await handle.truncate(size);
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** Relative paths (forward slashes) of all entries below a folder that are no folders. */
export async function filesBelow(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return [];
      throw error;
    },
  );
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1));
}
