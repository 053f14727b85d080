/** One part of a `multipart/x-mixed-replace` stream. */
export interface MjpegPart {
  /** Header names in lower case. */
  headers: Map<string, string>;
  body: Buffer;
}

/** The stream breaks the format or its bounds. */
export class MjpegFormatError extends Error {
  override readonly name = 'MjpegFormatError';
}

const HEADER_END = Buffer.from('\r\n\r\n');
const MAX_HEADER_BYTES = 8192;
const MAX_BODY_BYTES = 16 * 1024 * 1024;

/** Boundary of a `multipart/x-mixed-replace` content type, without the two leading dashes; null when it is another type. */
export function boundaryOf(contentType: string | undefined): string | null {
  const match = /^multipart\/x-mixed-replace\s*;.*\bboundary="?([^";]+)"?/i.exec(contentType ?? '');
  return match === null ? null : match[1].trim().replace(/^--/, '');
}

/**
 * Cuts the byte stream into parts (RFC 2046, section 5.1; each part must carry Content-Length). Chunks may split
 * anywhere. `push` returns the parts completed by this chunk and throws MjpegFormatError on a malformed stream.
 */
export class MjpegParser {
  readonly #delimiter: string;
  #held: Buffer[] = [];
  #heldBytes = 0;
  #part: { headers: Map<string, string>; length: number } | null = null;

  constructor(boundary: string) {
    this.#delimiter = `--${boundary}`;
  }

  push(chunk: Buffer): MjpegPart[] {
    this.#held.push(chunk);
    this.#heldBytes += chunk.length;
    const parts: MjpegPart[] = [];
    for (let part = this.#next(); part !== null; part = this.#next()) parts.push(part);
    return parts;
  }

  #next(): MjpegPart | null {
    this.#part ??= this.#takeHeader();
    if (this.#part === null || this.#heldBytes < this.#part.length) return null;
    const { headers, length } = this.#part;
    this.#part = null;
    return { headers, body: this.#take(length) };
  }

  #takeHeader(): { headers: Map<string, string>; length: number } | null {
    const all = this.#joined();
    const end = all.indexOf(HEADER_END);
    if (end < 0) {
      if (all.length > MAX_HEADER_BYTES) throw new MjpegFormatError('no end of a part header within 8 KiB');
      return null;
    }
    // The line break that ends the part before belongs to the delimiter.
    const lines = this.#take(end + HEADER_END.length)
      .toString('latin1')
      .trim()
      .split('\r\n');
    if (lines[0] !== this.#delimiter)
      throw new MjpegFormatError(`expected "${this.#delimiter}", got "${lines[0].slice(0, 80)}"`);
    const headers = new Map<string, string>();
    for (const header of lines.slice(1)) {
      const colon = header.indexOf(':');
      if (colon > 0) headers.set(header.slice(0, colon).trim().toLowerCase(), header.slice(colon + 1).trim());
    }
    const length = Number(headers.get('content-length') ?? Number.NaN);
    if (!Number.isInteger(length) || length < 0 || length > MAX_BODY_BYTES) {
      throw new MjpegFormatError(`content-length "${headers.get('content-length')}" of a part`);
    }
    return { headers, length };
  }

  #joined(): Buffer {
    if (this.#held.length !== 1) this.#held = [Buffer.concat(this.#held)];
    return this.#held[0];
  }

  #take(length: number): Buffer {
    const all = this.#joined();
    this.#held = [all.subarray(length)];
    this.#heldBytes -= length;
    return all.subarray(0, length);
  }
}
