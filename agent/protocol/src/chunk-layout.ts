import type { ReleaseFile } from './release.js';
import { CHUNK_BYTES } from './topics.js';

/** Where one chunk of a file lies, bytes. */
export interface ChunkPlace {
  sha256: string;
  offset: number;
  length: number;
}

/**
 * The chunks of a file with their places. Throws RangeError when sizes and file do not fit together: the message names what.
 */
export function chunkLayout(file: ReleaseFile): ChunkPlace[] {
  const { path, size, chunks, chunkSizes } = file;
  const count = chunkSizes === undefined ? Math.ceil(size / CHUNK_BYTES) : chunkSizes.length;
  if (chunks.length !== count)
    throw new RangeError(`file "${path}" of ${size} bytes names ${chunks.length} chunks, not ${count}`);
  const places: ChunkPlace[] = [];
  let offset = 0;
  for (const [index, sha256] of chunks.entries()) {
    const length = chunkSizes?.[index] ?? Math.min(CHUNK_BYTES, size - offset);
    places.push({ sha256, offset, length });
    offset += length;
  }
  if (offset !== size) throw new RangeError(`the chunks of "${path}" make ${offset} bytes, not ${size}`);
  return places;
}
