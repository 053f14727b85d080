import { describe, expect, it } from 'vitest';
import { boundaryOf, MjpegFormatError, MjpegParser, type MjpegPart } from './mjpeg-parser.js';

function part(sequence: number, body: Buffer): Buffer {
  return Buffer.concat([
    Buffer.from(
      `--vigie\r\nContent-Type: image/jpeg\r\nContent-Length: ${body.length}\r\nX-Vigie-Sequence: ${sequence}\r\n\r\n`,
    ),
    body,
    Buffer.from('\r\n'),
  ]);
}

/** Bodies that hold what a careless parser stumbles over: the delimiter and an empty line. */
const bodies = [
  Buffer.from([0xff, 0xd8, 1, 2, 0xff, 0xd9]),
  Buffer.from('x\r\n\r\n--vigie\r\ny'),
  Buffer.alloc(70_000, 7),
];
const stream = Buffer.concat(bodies.map((body, index) => part(index + 1, body)));

function feed(chunkBytes: number): MjpegPart[] {
  const parser = new MjpegParser('vigie');
  const parts: MjpegPart[] = [];
  for (let at = 0; at < stream.length; at += chunkBytes)
    parts.push(...parser.push(stream.subarray(at, at + chunkBytes)));
  return parts;
}

describe('MjpegParser', () => {
  it.each([1, 7, 1000, 65_536, stream.length])('finds every part in chunks of %d bytes', (chunkBytes) => {
    const parts = feed(chunkBytes);
    expect(parts.map((found) => found.headers.get('x-vigie-sequence'))).toEqual(['1', '2', '3']);
    expect(parts.every((found, index) => found.body.equals(bodies[index]))).toBe(true);
  });

  it('refuses a part without its length, another delimiter and an endless header', () => {
    expect(() => new MjpegParser('vigie').push(Buffer.from('--vigie\r\nContent-Type: image/jpeg\r\n\r\n'))).toThrow(
      MjpegFormatError,
    );
    expect(() => new MjpegParser('vigie').push(Buffer.from('--other\r\nContent-Length: 1\r\n\r\n'))).toThrow(
      MjpegFormatError,
    );
    expect(() => new MjpegParser('vigie').push(Buffer.alloc(9000, 65))).toThrow(MjpegFormatError);
  });
});

describe('boundaryOf', () => {
  it('reads the boundary with and without quotes and dashes', () => {
    expect(boundaryOf('multipart/x-mixed-replace; boundary=vigie')).toBe('vigie');
    expect(boundaryOf('multipart/x-mixed-replace;boundary="--vigie"')).toBe('vigie');
    expect(boundaryOf('image/jpeg')).toBeNull();
    expect(boundaryOf(undefined)).toBeNull();
  });
});
