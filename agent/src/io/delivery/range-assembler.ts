import type { WantedChunk } from './chunk-transport.js';

/** A part of a file, bytes: from `start` up to before `end`. */
export interface ByteRange {
  start: number;
  end: number;
}

/**
 * Puts chunks of one file together from a stream of its bytes that may begin anywhere, break off anywhere and hold more than is wanted.
 * A chunk that broke off is kept and goes on at the byte where it stopped.
 */
export class RangeAssembler {
  private index = 0;
  private filled = 0;
  private buffer: Buffer | null = null;

  /** `wanted`: in the order of their offsets. */
  constructor(private readonly wanted: readonly WantedChunk[]) {}

  /** What to ask for next: adjacent chunks together. Null: all is there. */
  get missing(): ByteRange | null {
    const first = this.wanted.at(this.index);
    if (first === undefined) return null;
    let end = endOf(first);
    for (let i = this.index + 1; this.wanted[i]?.file.offset === end; i += 1) end = endOf(this.wanted[i]);
    return { start: first.file.offset + this.filled, end };
  }

  /** The chunk that is being put together; undefined when all are there. */
  get current(): WantedChunk | undefined {
    return this.wanted[this.index];
  }

  /**
   * Takes bytes of the file from `offset` on, which must not lie behind the start of `missing`. Returns how many of them were taken up
   * to the end of the first chunk that they complete, and that chunk's bytes; call again with the rest.
   */
  take(offset: number, bytes: Uint8Array): { taken: number; complete: Buffer | null } {
    const chunk = this.current;
    if (chunk === undefined) return { taken: bytes.length, complete: null };
    const skip = chunk.file.offset + this.filled - offset;
    if (skip < 0) throw new RangeError(`bytes from ${offset} on leave a gap of ${-skip}`);
    if (skip >= bytes.length) return { taken: bytes.length, complete: null };
    this.buffer ??= Buffer.allocUnsafe(chunk.length);
    const count = Math.min(bytes.length - skip, chunk.length - this.filled);
    this.buffer.set(bytes.subarray(skip, skip + count), this.filled);
    this.filled += count;
    return { taken: skip + count, complete: this.filled === chunk.length ? this.buffer : null };
  }

  /** The chunk was what it should be: the next one. */
  accept(): void {
    this.index += 1;
    this.reset();
  }

  /** It was not: from its start again. */
  reset(): void {
    this.filled = 0;
    this.buffer = null;
  }
}

function endOf({ file, length }: WantedChunk): number {
  return file.offset + length;
}
