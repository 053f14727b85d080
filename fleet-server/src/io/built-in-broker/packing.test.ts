import { expect, it } from 'vitest';
import { Packing, unpacked } from './packing.js';

it('gives each head its bytes again, and starts anew after it was emptied', () => {
  const packing = new Packing<{ name: string }>();
  expect(packing.empty).toBe(true);
  // Parts of one block, as a socket's reads are.
  const block = Buffer.from('onethree');
  packing.add({ name: 'a' }, block.subarray(0, 3));
  packing.add({ name: 'b' }, Buffer.alloc(0));
  packing.add({ name: 'c' }, block.subarray(3));
  const packed = packing.take();
  expect(packed.bytes.byteLength).toBe(8);
  // As the other thread gets it.
  const arrived = structuredClone(packed, { transfer: [packed.bytes] });
  expect([...unpacked(arrived)].map(([{ name }, payload]) => [name, payload.toString()])).toEqual([
    ['a', 'one'],
    ['b', ''],
    ['c', 'three'],
  ]);
  expect(packing.empty).toBe(true);
  expect(packing.take().heads).toEqual([]);
});
