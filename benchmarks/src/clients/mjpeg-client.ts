import { get, type IncomingMessage } from 'node:http';
import type { FrameArrival } from '../swap-figures.js';
import { boundaryOf, MjpegParser, type MjpegPart } from './mjpeg-parser.js';

/**
 * A viewer of `/stream.mjpeg` that looks at each part, draws nothing and keeps sequence numbers and arrival times:
 * what a swap did to the stream is counted here, outside the agent.
 */
export class MjpegClient {
  readonly frames: FrameArrival[] = [];
  /** Parts that were not a whole JPEG (SOI … EOI) with a number. They are not in `frames`. */
  damaged = 0;
  /** Whole JPEGs that show no camera frame ("no signal"): they carry no sequence number. */
  placeholders = 0;
  bytes = 0;
  /** Why the stream ended; null while it is connected. */
  ended: string | null = null;
  readonly #response: IncomingMessage;

  private constructor(response: IncomingMessage, boundary: string) {
    this.#response = response;
    const parser = new MjpegParser(boundary);
    response.on('data', (chunk: Buffer) => {
      this.bytes += chunk.length;
      try {
        for (const part of parser.push(chunk)) this.#take(part);
      } catch (error) {
        response.destroy(error as Error);
      }
    });
    response.on('error', (error) => {
      this.ended ??= error.message;
    });
    response.on('close', () => {
      this.ended ??= 'the board closed the stream';
    });
  }

  /** Connects to a stream. Rejects unless the board answers with a multipart stream. */
  static connect(url: string): Promise<MjpegClient> {
    return new Promise((resolve, reject) => {
      const request = get(url, { agent: false }, (response) => {
        const boundary = boundaryOf(response.headers['content-type']);
        if (response.statusCode === 200 && boundary !== null) {
          response.socket.setNoDelay(true);
          resolve(new MjpegClient(response, boundary));
        } else {
          response.destroy();
          reject(new Error(`${url} answered ${response.statusCode} ${response.headers['content-type'] ?? ''}`));
        }
      });
      request.on('error', reject);
    });
  }

  /** The newest frame, if any. */
  get last(): FrameArrival | undefined {
    return this.frames.at(-1);
  }

  #take(part: MjpegPart): void {
    const { body } = part;
    const whole = body.length > 4 && body.readUInt16BE(0) === 0xffd8 && body.readUInt16BE(body.length - 2) === 0xffd9;
    const header = part.headers.get('x-vigie-sequence');
    const sequence = Number(header);
    if (whole && header === undefined) {
      this.placeholders += 1;
      return;
    }
    if (!whole || !Number.isInteger(sequence)) {
      this.damaged += 1;
      return;
    }
    this.frames.push({ sequence, arrivalMs: performance.now(), digest: part.headers.get('x-vigie-model') ?? '' });
  }

  /** Leaves the stream; `ended` then says so. */
  close(): void {
    this.ended ??= 'closed by the client';
    this.#response.destroy();
  }
}
