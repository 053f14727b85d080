import { ANSWER_HEADER_BYTES, MAX_ANSWER_BYTES } from './child-protocol.js';

/** Cuts a byte stream into answers of a child. Throws RangeError on one that is too large. */
export class AnswerReader {
  #pending: Buffer = Buffer.alloc(0);

  /** Calls back with each answer that is complete; `body` is valid during the call only. */
  push(chunk: Buffer, onAnswer: (kind: number, body: Buffer) => void): void {
    let rest = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    while (rest.length >= ANSWER_HEADER_BYTES) {
      const bytes = rest.readUInt32LE(4);
      if (bytes > MAX_ANSWER_BYTES) throw new RangeError(`answer of ${bytes} bytes`);
      const end = ANSWER_HEADER_BYTES + bytes;
      if (rest.length < end) break;
      onAnswer(rest.readUInt32LE(0), rest.subarray(ANSWER_HEADER_BYTES, end));
      rest = rest.subarray(end);
    }
    this.#pending = rest;
  }
}
