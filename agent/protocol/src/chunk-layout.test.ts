import { describe, expect, it } from 'vitest';
import { chunkLayout } from './chunk-layout.js';

const [a, b] = ['a'.repeat(64), 'b'.repeat(64)];
const file = { path: 'model.onnx', sha256: 'c'.repeat(64) };

describe('chunkLayout', () => {
  it('cuts at 64 KiB where no sizes are named', () => {
    expect(chunkLayout({ ...file, size: 65_537, chunks: [a, b] })).toEqual([
      { sha256: a, offset: 0, length: 65_536 },
      { sha256: b, offset: 65_536, length: 1 },
    ]);
  });

  it('follows the named sizes', () => {
    expect(chunkLayout({ ...file, size: 30, chunks: [a, b], chunkSizes: [10, 20] })).toEqual([
      { sha256: a, offset: 0, length: 10 },
      { sha256: b, offset: 10, length: 20 },
    ]);
  });

  it('has none for an empty file', () => {
    expect(chunkLayout({ ...file, size: 0, chunks: [] })).toEqual([]);
  });

  it.each([
    { size: 65_537, chunks: [a] },
    { size: 30, chunks: [a], chunkSizes: [10, 20] },
    { size: 31, chunks: [a, b], chunkSizes: [10, 20] },
  ])('refuses what does not add up: $size bytes, $chunkSizes', (parts) => {
    expect(() => chunkLayout({ ...file, ...parts })).toThrow(RangeError);
  });
});
