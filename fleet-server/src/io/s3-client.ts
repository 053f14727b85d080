import { randomInt } from 'node:crypto';
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { Readable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { AwsV4Signer } from 'aws4fetch';
import { ObjectStoreError } from '../ports.js';
import type { S3Credentials } from './s3-credentials.js';

export interface S3Bucket {
  name: string;
  /** Address of the bucket, with a slash behind: `https://bucket.s3.eu-central-1.amazonaws.com/`, `https://minio.example/bucket/`. */
  url: string;
  region: string;
  credentials: () => Promise<S3Credentials>;
  /** Authority of the store's certificate, PEM; those of the system when absent. */
  ca?: string;
}

export interface S3Request {
  method: 'GET' | 'HEAD' | 'PUT' | 'DELETE';
  /** Name in the bucket, of letters, digits, `/`, `-`, `_` and `.`; empty: the bucket itself. */
  key: string;
  query?: Record<string, string>;
  headers?: Record<string, string>;
  /** Made anew for each attempt. */
  body?: { sha256: string; length: number; stream: () => Readable };
}

/** SHA-256 of nothing. */
const EMPTY = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
const ATTEMPTS = 5;
const FIRST_WAIT_MS = 200;
const LONGEST_WAIT_MS = 5000;
/** A connection on which nothing moves for so long is given up, ms. */
const STALLED_MS = 30_000;
/** Longest document of an error that is read, bytes. */
const MAX_ERROR_BYTES = 64 * 1024;

/**
 * Signed requests (AWS Signature Version 4) to one bucket. What failed on the way, or was answered with 429 or 5xx, is asked
 * again after a wait with full jitter.
 */
export class S3Client {
  readonly #bucket: S3Bucket;
  readonly #agent: HttpAgent | HttpsAgent;
  /** Signing keys of a day, as aws4fetch wants to keep them. */
  readonly #keys = new Map<string, ArrayBuffer>();

  constructor(bucket: S3Bucket) {
    this.#bucket = bucket;
    const options = { keepAlive: true, maxSockets: 32, timeout: STALLED_MS };
    this.#agent = bucket.url.startsWith('https:')
      ? new HttpsAgent({ ...options, ca: bucket.ca })
      : new HttpAgent(options);
  }

  /** The answer of 2xx, or of a status in `expected`; the caller reads or destroys it. Throws ObjectStoreError. */
  async send(request: S3Request, expected: readonly number[] = []): Promise<IncomingMessage> {
    for (let attempt = 1; ; attempt += 1) {
      const result = await this.#attempt(request).catch((error: Error) => error);
      if (result instanceof Error) {
        if (result instanceof ObjectStoreError || attempt >= ATTEMPTS)
          throw unavailable(request, result.message, result);
      } else {
        const status = result.statusCode ?? 0;
        if ((status >= 200 && status < 300) || expected.includes(status)) return result;
        const said = await errorOf(result);
        const passing = status === 429 || status >= 500;
        if (!passing) {
          const detail = `${request.method} ${request.key || '(bucket)'}: ${status} ${said}`;
          throw new ObjectStoreError('OBJECT_STORE_REFUSED', `the object store refused ${detail}`);
        }
        if (attempt >= ATTEMPTS) throw unavailable(request, `${status} ${said}`);
      }
      await pause(randomInt(Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (attempt - 1))));
    }
  }

  /** How a request names an object of this bucket as the source of a copy. */
  copySource(key: string): string {
    return `/${this.#bucket.name}/${key}`;
  }

  close(): void {
    this.#agent.destroy();
  }

  async #attempt({ method, key, query = {}, headers = {}, body }: S3Request): Promise<IncomingMessage> {
    const url = new URL(key, this.#bucket.url);
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    const signed = await new AwsV4Signer({
      ...(await this.#bucket.credentials()),
      method,
      url: url.toString(),
      // The store checks what arrives against it.
      headers: { ...headers, 'x-amz-content-sha256': body?.sha256 ?? EMPTY },
      service: 's3',
      region: this.#bucket.region,
      cache: this.#keys,
    }).sign();
    const send = signed.url.protocol === 'https:' ? httpsRequest : httpRequest;
    return new Promise((resolve, reject) => {
      const request = send(signed.url, {
        method,
        agent: this.#agent,
        headers: {
          ...Object.fromEntries(signed.headers),
          ...(method === 'PUT' ? { 'content-length': body?.length ?? 0 } : {}),
        },
      });
      request.setTimeout(STALLED_MS, () => request.destroy(new Error(`nothing moved for ${STALLED_MS / 1000} s`)));
      request.once('response', resolve);
      request.once('error', reject);
      if (body === undefined) {
        request.end();
        return;
      }
      const stream = body.stream();
      stream.once('error', (error) => request.destroy(error));
      request.once('close', () => stream.destroy());
      stream.pipe(request);
    });
  }
}

/** All of a small answer. Throws RangeError over `most` bytes. */
export async function textOf(response: IncomingMessage, most: number): Promise<string> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of response) {
    bytes += (piece as Buffer).length;
    if (bytes > most) throw new RangeError(`an answer of the object store exceeds ${most} bytes`);
    pieces.push(piece as Buffer);
  }
  return Buffer.concat(pieces).toString();
}

/** `<Code>` and `<Message>` of the answer (Amazon S3 API reference, "Error responses"). */
async function errorOf(response: IncomingMessage): Promise<string> {
  const text = await textOf(response, MAX_ERROR_BYTES).catch(() => '');
  const [code, message] = ['Code', 'Message'].map((name) => new RegExp(`<${name}>([^<]*)</${name}>`).exec(text)?.[1]);
  return [code, message]
    .filter((part) => part !== undefined)
    .join(': ')
    .slice(0, 300);
}

function unavailable({ method, key }: S3Request, detail: string, cause?: unknown): Error {
  if (cause instanceof ObjectStoreError) return cause;
  return new ObjectStoreError(
    'OBJECT_STORE_UNAVAILABLE',
    `the object store is not available: ${method} ${key || '(bucket)'}: ${detail}`,
    { cause },
  );
}
