import type { Packed } from './broker-messages.js';

/** Messages that go to the other thread together. */
export class Packing<Head extends object> {
  #heads: (Head & { length: number })[] = [];
  #payloads: Buffer[] = [];

  get empty(): boolean {
    return this.#heads.length === 0;
  }

  add(head: Head, payload: Buffer): void {
    this.#heads.push({ ...head, length: payload.length });
    this.#payloads.push(payload);
  }

  /** Everything added since the last time. `bytes` is to be given away with it. */
  take(): Packed<Head> {
    const bytes = new Uint8Array(this.#payloads.reduce((sum, { length }) => sum + length, 0));
    let offset = 0;
    for (const payload of this.#payloads) {
      bytes.set(payload, offset);
      offset += payload.length;
    }
    const heads = this.#heads;
    this.#heads = [];
    this.#payloads = [];
    return { heads, bytes: bytes.buffer };
  }
}

/** The messages again, in order; the payloads are parts of one block. */
export function* unpacked<Head>({ heads, bytes }: Packed<Head>): Generator<[Head, Buffer]> {
  let offset = 0;
  for (const head of heads) {
    yield [head, Buffer.from(bytes, offset, head.length)];
    offset += head.length;
  }
}
