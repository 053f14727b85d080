import { createHash } from 'node:crypto';
import { CHUNK_BYTES, type ChunkReference } from '@vigie/protocol';

/** A piece of something larger than a message. */
export interface Piece {
  reference: ChunkReference;
  bytes: Buffer;
}

/** Pieces of 64 KiB, the last one shorter; each is called by its SHA-256. */
export function cutIntoPieces(bytes: Buffer): Piece[] {
  const pieces: Piece[] = [];
  for (let offset = 0; offset < bytes.length; offset += CHUNK_BYTES) {
    const piece = bytes.subarray(offset, offset + CHUNK_BYTES);
    pieces.push({ reference: { sha256: sha256(piece), size: piece.length }, bytes: piece });
  }
  return pieces;
}

export function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
