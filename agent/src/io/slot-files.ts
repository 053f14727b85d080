import { createHash } from 'node:crypto';
import { dirname, join } from 'node:path';
import { ChunkCutter } from '@vigie/models/package/chunking';
import { CHUNK_BYTES, type ChunkPlace } from '@vigie/protocol';
import type { FileSystem, OpenFile } from './file-system.js';

/** One piece of a file on the disk. */
export interface Place {
  path: string;
  offset: number;
  length: number;
}

/** How a file was cut: by its content, or (descriptors that name no sizes) every 64 KiB. */
export type Cut = 'content' | 'fixed';

/**
 * Calls back with each chunk of a file, as the publisher's tools would cut it. A missing file has none. Reads it piece by piece: no
 * file is held in memory.
 */
export async function eachChunk(
  files: FileSystem,
  path: string,
  cut: Cut,
  onChunk: (sha256: string, place: Place) => void,
  signal?: AbortSignal,
): Promise<void> {
  const handle = await openToRead(files, path);
  if (handle === null) return;
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  const cutter = new ChunkCutter();
  let hash = createHash('sha256');
  let [start, end] = [0, 0];
  const finish = (): void => {
    onChunk(hash.digest('hex'), { path, offset: start, length: end - start });
    hash = createHash('sha256');
    start = end;
  };
  try {
    for (;;) {
      signal?.throwIfAborted();
      const length = await readFully(handle, buffer, end);
      const bytes = buffer.subarray(0, length);
      for (let at = 0; at < length; ) {
        // Pieces are as long as a fixed chunk.
        const found = cut === 'content' ? cutter.next(bytes, at) : length === CHUNK_BYTES ? length : -1;
        const until = found === -1 ? length : found;
        hash.update(bytes.subarray(at, until));
        end += until - at;
        at = until;
        if (found !== -1) finish();
      }
      if (length < buffer.length) break;
    }
    if (end > start) finish();
  } finally {
    await handle.close();
  }
}

/** Which of these chunks stand at their places already: their offsets. A missing or shorter file holds fewer. */
export async function heldAt(
  files: FileSystem,
  path: string,
  layout: readonly ChunkPlace[],
  signal: AbortSignal,
): Promise<Set<number>> {
  const held = new Set<number>();
  const handle = await openToRead(files, path);
  if (handle === null) return held;
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  try {
    for (const { sha256, offset, length } of layout) {
      signal.throwIfAborted();
      const bytes = buffer.subarray(0, length);
      if ((await readFully(handle, bytes, offset)) < length) continue;
      if (createHash('sha256').update(bytes).digest('hex') === sha256) held.add(offset);
    }
  } finally {
    await handle.close();
  }
  return held;
}

/** Reads one piece again. Null when the file is gone or shorter by now. */
export async function readPiece(files: FileSystem, { path, offset, length }: Place): Promise<Buffer | null> {
  try {
    const handle = await files.open(path, 'r');
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

async function openToRead(files: FileSystem, path: string): Promise<OpenFile | null> {
  try {
    return await files.open(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

async function readFully(handle: OpenFile, buffer: Buffer, offset: number): Promise<number> {
  let filled = 0;
  while (filled < buffer.length) {
    const { bytesRead } = await handle.read(buffer, filled, buffer.length - filled, offset + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return filled;
}

export async function writeFully(handle: OpenFile, bytes: Buffer, offset: number): Promise<void> {
  let written = 0;
  while (written < bytes.length) {
    written += (await handle.write(bytes, written, bytes.length - written, offset + written)).bytesWritten;
  }
}

/** Opens a file for writing at any place, at its final size, in folders that are made where they are missing. */
export async function openSized(files: FileSystem, path: string, size: number): Promise<OpenFile> {
  await files.mkdir(dirname(path));
  let handle: OpenFile;
  try {
    handle = await files.open(path, 'r+');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    handle = await files.open(path, 'wx+');
  }
  try {
    if ((await handle.stat()).size !== size) await handle.truncate(size);
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** Relative paths (forward slashes) of all entries below a folder that are no folders; none where it is missing. */
export async function filesBelow(files: FileSystem, directory: string): Promise<string[]> {
  const found: string[] = [];
  const visit = async (folder: string): Promise<void> => {
    for (const entry of await namesIn(files, join(directory, folder))) {
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
      if (entry.directory) await visit(path);
      else found.push(path);
    }
  };
  await visit('');
  return found;
}

async function namesIn(files: FileSystem, directory: string): Promise<{ name: string; directory: boolean }[]> {
  try {
    return await files.list(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
