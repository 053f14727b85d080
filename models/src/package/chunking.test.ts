import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { ChunkCutter, CUT_SIZES, chunkEnds, GEAR, MAX_CHUNK_BYTES, MIN_CHUNK_BYTES } from './chunking.js';

/** Bytes without repeats that every machine makes alike: SHA-256 in counter mode. */
function noise(bytes: number, seed: string): Buffer {
  const blocks: Buffer[] = [];
  for (let i = 0; i * 32 < bytes; i++) blocks.push(createHash('sha256').update(`${seed}/${i}`).digest());
  return Buffer.concat(blocks).subarray(0, bytes);
}

const sizesOf = (ends: number[]) => ends.map((end, i) => end - (ends[i - 1] ?? 0));
const namesOf = (bytes: Buffer) => {
  let start = 0;
  return chunkEnds(bytes).map((end) => {
    const name = createHash('sha256').update(bytes.subarray(start, end)).digest('hex');
    start = end;
    return name;
  });
};

describe('content-defined chunking', () => {
  it('cuts where it always cut: boards and servers of any age must agree', () => {
    // These figures come from another program, written in another language to the same description.
    expect([...GEAR.subarray(0, 3)]).toEqual([-2056217596, -1311016601, 948226444]);
    expect(chunkEnds(noise(300_000, 'pinned'))).toEqual([
      22_087, 40_666, 58_187, 74_818, 94_015, 112_707, 127_804, 154_286, 174_214, 178_442, 202_640, 221_376, 241_942,
      258_367, 275_050, 294_329, 300_000,
    ]);
  });

  it('is the same however the bytes come in', () => {
    const bytes = noise(500_000, 'streams');
    for (const step of [1, 7, 4095, 65_536, 500_000]) {
      const cutter = new ChunkCutter();
      const ends: number[] = [];
      for (let offset = 0; offset < bytes.length; offset += step) {
        const piece = bytes.subarray(offset, offset + step);
        for (let at = cutter.next(piece, 0); at !== -1; at = cutter.next(piece, at)) ends.push(offset + at);
      }
      if (ends.at(-1) !== bytes.length) ends.push(bytes.length);
      expect(ends, `in steps of ${step}`).toEqual(chunkEnds(bytes));
    }
  });

  it('keeps to its bounds, with a mean near the normal size', () => {
    const sizes = sizesOf(chunkEnds(noise(4_000_000, 'sizes')));
    expect(Math.max(...sizes)).toBeLessThanOrEqual(MAX_CHUNK_BYTES);
    expect(Math.min(...sizes.slice(0, -1))).toBeGreaterThanOrEqual(MIN_CHUNK_BYTES);
    const mean = 4_000_000 / sizes.length;
    expect(mean).toBeGreaterThan(0.75 * CUT_SIZES.normal);
    expect(mean).toBeLessThan(1.5 * CUT_SIZES.normal);
  });

  it('falls into step again behind inserted, removed and changed bytes', () => {
    const bytes = noise(1_000_000, 'shift');
    const known = new Set(namesOf(bytes));
    const fresh = (changed: Buffer) => namesOf(changed).filter((name) => !known.has(name)).length;
    const half = 500_000;
    expect(fresh(Buffer.concat([bytes.subarray(0, half), noise(100, 'in'), bytes.subarray(half)]))).toBeLessThan(6);
    expect(fresh(Buffer.concat([bytes.subarray(0, half), bytes.subarray(half + 1000)]))).toBeLessThan(6);
    const changed = Buffer.from(bytes);
    changed[half] ^= 1;
    expect(fresh(changed)).toBeLessThan(4);
    expect(fresh(bytes)).toBe(0);
  });

  it('cuts bytes that are all alike at the maximum, and nothing into nothing', () => {
    expect(sizesOf(chunkEnds(Buffer.alloc(150_000)))).toEqual([65_536, 65_536, 18_928]);
    expect(chunkEnds(Buffer.alloc(0))).toEqual([]);
    expect(chunkEnds(Buffer.from('x'))).toEqual([1]);
  });
});
