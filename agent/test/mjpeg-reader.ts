import { get, type IncomingMessage } from 'node:http';

export interface MjpegPart {
  headers: Record<string, string>;
  jpeg: Buffer;
}

/** Reads multipart/x-mixed-replace by boundary and Content-Length, as a client that has never seen the server's code. */
export class MjpegReader {
  readonly parts: MjpegPart[] = [];
  ended = false;
  private pending: Buffer = Buffer.alloc(0);

  private constructor(
    readonly response: IncomingMessage,
    private readonly boundary: string,
  ) {
    response.on('data', (chunk: Buffer) => {
      this.pending = Buffer.concat([this.pending, chunk]);
      this.parse();
    });
    response.on('close', () => {
      this.ended = true;
    });
    response.on('error', () => undefined);
  }

  static open(url: string): Promise<MjpegReader> {
    return new Promise((resolve, reject) => {
      get(url, (response) => {
        const boundary = /^multipart\/x-mixed-replace; boundary=(\S+)$/.exec(
          response.headers['content-type'] ?? '',
        )?.[1];
        if (response.statusCode !== 200 || boundary === undefined) reject(new Error(`HTTP ${response.statusCode}`));
        else resolve(new MjpegReader(response, boundary));
      }).on('error', reject);
    });
  }

  get sequences(): number[] {
    return this.parts.map((part) => Number(part.headers['x-vigie-sequence']));
  }

  close(): void {
    this.response.destroy();
  }

  private parse(): void {
    for (;;) {
      const open = this.pending.indexOf(`--${this.boundary}\r\n`);
      const headEnd = this.pending.indexOf('\r\n\r\n', open);
      if (open < 0 || headEnd < 0) return;
      if (open > 2) throw new Error(`${open} stray bytes between parts`);
      const lines = this.pending.subarray(open, headEnd).toString('latin1').split('\r\n').slice(1);
      const headers = Object.fromEntries(
        lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
      );
      const bodyEnd = headEnd + 4 + Number(headers['content-length']);
      if (this.pending.length < bodyEnd) return;
      this.parts.push({ headers, jpeg: Buffer.from(this.pending.subarray(headEnd + 4, bodyEnd)) });
      this.pending = this.pending.subarray(bodyEnd);
    }
  }
}

/** Waits until a condition holds; fails after 10 s. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
