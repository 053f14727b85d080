import { describe, expect, it } from 'vitest';
import { PacketLimit } from './packet-limit.js';

/** A PUBLISH of `length` body bytes with its fixed header. */
function packet(length: number): Buffer {
  const header = [0x30];
  let rest = length;
  do {
    const byte = rest % 128;
    rest = Math.floor(rest / 128);
    header.push(rest > 0 ? byte | 0x80 : byte);
  } while (rest > 0);
  return Buffer.concat([Buffer.from(header), Buffer.alloc(length, 0xff)]);
}

describe('PacketLimit', () => {
  it('lets packets up to the limit through, whatever the pieces they come in', () => {
    const stream = Buffer.concat([
      packet(0),
      packet(1),
      packet(127),
      packet(128),
      packet(1000),
      packet(0),
      packet(16_384),
    ]);
    for (const size of [1, 2, 3, 7, 1000, stream.length]) {
      const limit = new PacketLimit(16_384);
      for (let at = 0; at < stream.length; at += size) expect(limit.accept(stream.subarray(at, at + size))).toBe(true);
    }
  });

  it('refuses a larger one from its header alone', () => {
    const limit = new PacketLimit(1000);
    expect(limit.accept(packet(1000))).toBe(true);
    expect(limit.accept(packet(1001).subarray(0, 3))).toBe(false);
  });

  it('refuses a length of five bytes', () => {
    expect(new PacketLimit(2 ** 30).accept(Buffer.from([0x30, 0x80, 0x80, 0x80, 0x80, 0x01]))).toBe(false);
  });
});
