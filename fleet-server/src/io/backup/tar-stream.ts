import type { Readable } from 'node:stream';

/** POSIX ustar (IEEE Std 1003.1, pax: "ustar Interchange Format"), as much of it as a backup needs: plain files. */
const BLOCK = 512;

export class TarError extends Error {
  constructor(
    readonly code: 'TAR_DAMAGED' | 'TAR_TRUNCATED',
    message: string,
  ) {
    super(message);
  }
}

/** Header of one file. Names of up to 255 characters with a `/` where they can be parted. */
export function tarHeader(name: string, bytes: number, mtime: Date): Buffer {
  const header = Buffer.alloc(BLOCK);
  let prefix = '';
  let rest = name;
  if (Buffer.byteLength(name) > 100) {
    const at = name.indexOf('/', name.length - 101);
    if (at <= 0 || at > 155) throw new RangeError(`${name}: is too long for a tar file`);
    prefix = name.slice(0, at);
    rest = name.slice(at + 1);
  }
  const octal = (value: number, digits: number) => value.toString(8).padStart(digits, '0');
  header.write(rest, 0);
  header.write(`${octal(0o600, 7)}\0${octal(0, 7)}\0${octal(0, 7)}\0`, 100);
  // Above 8 GiB the size is binary (GNU extension).
  if (bytes < 8 ** 11) header.write(`${octal(bytes, 11)}\0`, 124);
  else {
    header[124] = 0x80;
    header.writeBigUInt64BE(BigInt(bytes), 128);
  }
  header.write(`${octal(Math.floor(mtime.getTime() / 1000), 11)}\0        0`, 136);
  header.write('ustar\0' + '00', 257);
  header.write(prefix, 345);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${octal(sum, 6)}\0 `, 148);
  return header;
}

/** Zeros up to the next block. */
export const tarPadding = (bytes: number): Buffer => Buffer.alloc((BLOCK - (bytes % BLOCK)) % BLOCK);
/** End of the archive. */
export const TAR_END = Buffer.alloc(2 * BLOCK);

export interface TarEntry {
  name: string;
  bytes: number;
  /** Must be read to its end before the next entry is asked for. */
  content: AsyncIterable<Buffer>;
}

/** Files of an archive, one after the other. Throws TarError when it ends early or is none. */
export async function* tarEntries(input: Readable): AsyncGenerator<TarEntry, void, undefined> {
  const source = new ByteSource(input);
  for (;;) {
    const header = await source.take(BLOCK);
    if (header.every((byte) => byte === 0)) {
      await source.rest();
      return;
    }
    const { name, bytes } = parseHeader(header);
    let left = bytes;
    const content = (async function* () {
      while (left > 0) {
        const part = await source.some(left);
        left -= part.length;
        yield part;
      }
    })();
    yield { name, bytes, content };
    if (left > 0) throw new RangeError(`${name}: was not read to its end`);
    await source.take((BLOCK - (bytes % BLOCK)) % BLOCK);
  }
}

function parseHeader(header: Buffer): { name: string; bytes: number } {
  const text = (from: number, length: number) => header.toString('utf8', from, from + length).replace(/\0[\s\S]*$/, '');
  const sum = header.reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 32 : byte), 0);
  if (Number.parseInt(text(148, 8), 8) !== sum || text(257, 5) !== 'ustar' || text(156, 1) !== '0')
    throw new TarError('TAR_DAMAGED', 'a header of the archive is damaged');
  const bytes = header[124] === 0x80 ? Number(header.readBigUInt64BE(128)) : Number.parseInt(text(124, 12), 8);
  const prefix = text(345, 155);
  const name = prefix === '' ? text(0, 100) : `${prefix}/${text(0, 100)}`;
  if (!Number.isSafeInteger(bytes) || bytes < 0) throw new TarError('TAR_DAMAGED', `${name}: its size is damaged`);
  return { name, bytes };
}

/** Bytes of a stream as they are asked for. */
class ByteSource {
  readonly #iterator: AsyncIterator<Buffer>;
  #held: Buffer = Buffer.alloc(0);

  constructor(input: Readable) {
    this.#iterator = input[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  }

  /** Some bytes, at most so many. */
  async some(most: number): Promise<Buffer> {
    while (this.#held.length === 0) {
      const { value, done } = await this.#iterator.next();
      if (done) throw new TarError('TAR_TRUNCATED', 'the archive ends in the middle');
      this.#held = value;
    }
    const part = this.#held.subarray(0, most);
    this.#held = this.#held.subarray(part.length);
    return part;
  }

  async take(bytes: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    for (let left = bytes; left > 0; ) {
      const part = await this.some(left);
      parts.push(part);
      left -= part.length;
    }
    return Buffer.concat(parts);
  }

  /** Reads on to the end: what follows must be sound, too (a checksum, the last frame of a cipher). */
  async rest(): Promise<void> {
    while (!(await this.#iterator.next()).done);
  }
}
