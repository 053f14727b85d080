import { createHash } from 'node:crypto';
import { CHUNK_BYTES } from './limits.js';

/**
 * Content-defined chunks: FastCDC with normalised chunking (Xia et al., "FastCDC: a Fast and Efficient Content-Defined Chunking
 * Approach for Data Deduplication", USENIX ATC 2016, sections 3.2 to 3.5). A cut depends on the bytes just before it and on where the
 * chunk began, so that after inserted or removed bytes the cuts fall into step again, and what two models share is shared.
 *
 * Part of the contract between server and boards: a board cuts what lies on its disk by the same rule to find what it need not
 * fetch. Another rule would still be correct (descriptors name sizes), and would share nothing with what was cut by this one.
 */

/** No chunk but a file's last is shorter, bytes. */
export const MIN_CHUNK_BYTES = 4 * 1024;
/** Where cuts begin to be likely, bytes; about the mean. Chosen by benchmarks/compare/chunking.mjs. */
export const NORMAL_CHUNK_BYTES = 16 * 1024;
/** No chunk is longer, bytes: it must fit into a message. */
export const MAX_CHUNK_BYTES = CHUNK_BYTES;

/** Sizes of one way of cutting, bytes; powers of two. */
export interface CutSizes {
  min: number;
  normal: number;
  max: number;
}
export const CUT_SIZES: CutSizes = { min: MIN_CHUNK_BYTES, normal: NORMAL_CHUNK_BYTES, max: MAX_CHUNK_BYTES };

/** Normalisation level 2 of the paper: four times harder to cut before the normal size, four times easier after it. */
const NORMALISATION = 2;

/** One random 32-bit word per byte value: the first four bytes (big-endian) of SHA-256("vigie/gear/" + value in decimal). */
export const GEAR: Int32Array = Int32Array.from({ length: 256 }, (_, value) =>
  createHash('sha256').update(`vigie/gear/${value}`).digest().readInt32BE(0),
);

/**
 * Finds cuts in a stream of bytes, however the stream is divided: the same bytes give the same cuts. Holds no bytes.
 *
 * The rolling hash is `h = (h << 1) + GEAR[byte]` modulo 2^32, begun anew (0) behind the minimum of each chunk; a chunk ends after a
 * byte where the upper bits of `h` are all zero: log2(normal) + 2 of them before the normal size, log2(normal) - 2 after it. The
 * upper bits are those that depend on the most bytes (up to 32).
 */
export class ChunkCutter {
  private hash = 0;
  private length = 0;
  private readonly hardShift: number;
  private readonly easyShift: number;

  constructor(private readonly sizes: CutSizes = CUT_SIZES) {
    const bits = Math.log2(sizes.normal);
    this.hardShift = 32 - (bits + NORMALISATION);
    this.easyShift = 32 - (bits - NORMALISATION);
  }

  /**
   * Takes bytes from `start` on up to the end of the chunk they belong to. Returns where in `bytes` that chunk ends (exclusive), or
   * -1 when it goes on beyond them; call again from the returned place on.
   */
  next(bytes: Uint8Array, start: number): number {
    const { min, normal, max } = this.sizes;
    const { hardShift, easyShift } = this;
    // Where the chunk began, counted from the first of these bytes.
    const begin = start - this.length;
    const end = bytes.length;
    let { hash } = this;
    let at = Math.max(start, Math.min(begin + min, end));
    for (const hardEnd = Math.min(begin + normal, end); at < hardEnd; ) {
      hash = ((hash << 1) + GEAR[bytes[at]]) | 0;
      at += 1;
      if (hash >>> hardShift === 0) return this.cut(at);
    }
    for (const easyEnd = Math.min(begin + max, end); at < easyEnd; ) {
      hash = ((hash << 1) + GEAR[bytes[at]]) | 0;
      at += 1;
      if (hash >>> easyShift === 0) return this.cut(at);
    }
    if (at === begin + max) return this.cut(at);
    this.hash = hash;
    this.length = at - begin;
    return -1;
  }

  private cut(at: number): number {
    this.hash = 0;
    this.length = 0;
    return at;
  }
}

/** Cuts bytes that are all there. Returns the end (exclusive) of each chunk, in order; none for no bytes. */
export function chunkEnds(bytes: Uint8Array, sizes: CutSizes = CUT_SIZES): number[] {
  const cutter = new ChunkCutter(sizes);
  const ends: number[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = cutter.next(bytes, at);
    at = end === -1 ? bytes.length : end;
    ends.push(at);
  }
  return ends;
}
