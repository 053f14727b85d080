import { createHash, randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { ObjectMissingError, type ObjectStore } from '../ports.js';
import { type S3Client, type S3Request, textOf } from './s3-client.js';

export interface S3ObjectStoreOptions {
  client: S3Client;
  /** In front of each name, with a slash behind; may be empty. */
  prefix: string;
  /** Folder where streams are collected: a request says its length first, and may have to be made again. */
  temporary: string;
}

type Place = { offset: number; length: number };
const SHA256 = /^[0-9a-f]{64}$/;
/** Parts that lie side by side are asked for together, up to so many bytes. */
const MAX_RUN_BYTES = 16 * 1024 * 1024;
const MAX_LIST_BYTES = 8 * 1024 * 1024;

/**
 * Objects in a bucket (S3 API): `<prefix>ab/<sha256>`, each by one request. What is stored is checked three times against its
 * name: here before it is sent, by the store (`x-amz-content-sha256`), and by every board.
 */
export class S3ObjectStore implements ObjectStore {
  readonly #client: S3Client;
  readonly #prefix: string;
  readonly #temporary: string;

  constructor({ client, prefix, temporary }: S3ObjectStoreOptions) {
    this.#client = client;
    this.#prefix = prefix;
    this.#temporary = temporary;
  }

  async put(sha256: string, bytes: Readable | Buffer): Promise<void> {
    const key = this.#key(sha256);
    if (await this.#touch(key)) {
      if (bytes instanceof Readable) bytes.destroy();
      return;
    }
    if (Buffer.isBuffer(bytes)) {
      check(sha256, createHash('sha256').update(bytes).digest('hex'));
      return this.#upload(key, { sha256, length: bytes.length, stream: () => Readable.from([bytes]) });
    }
    const path = join(this.#temporary, `object-${randomBytes(12).toString('hex')}`);
    try {
      const { hash, length } = await collect(bytes, path);
      check(sha256, hash);
      await this.#upload(key, { sha256, length, stream: () => createReadStream(path) });
    } finally {
      await rm(path, { force: true });
    }
  }

  async get(sha256: string): Promise<Buffer> {
    const pieces: Buffer[] = [];
    for await (const piece of await this.#fetch(sha256)) pieces.push(piece as Buffer);
    const bytes = Buffer.concat(pieces);
    check(sha256, createHash('sha256').update(bytes).digest('hex'));
    return bytes;
  }

  async read(sha256: string, { offset, length }: Place): Promise<Readable> {
    return length === 0 ? Readable.from([]) : this.#fetch(sha256, offset, length);
  }

  async *pieces(sha256: string, places: readonly Place[]): AsyncIterable<Buffer> {
    for (const run of runsOf(places)) {
      const { offset } = run[0];
      const last = run[run.length - 1];
      const response = await this.#fetch(sha256, offset, last.offset + last.length - offset);
      let waiting: Buffer[] = [];
      let bytes = 0;
      const source = response[Symbol.asyncIterator]();
      for (const { length } of run) {
        while (bytes < length) {
          const { value, done } = await source.next();
          if (done === true) break;
          waiting.push(value as Buffer);
          bytes += (value as Buffer).length;
        }
        const joined = Buffer.concat(waiting);
        // A copy: a retained message keeps its bytes, and not the whole run with them.
        yield Buffer.from(joined.subarray(0, length));
        waiting = [joined.subarray(length)];
        bytes = waiting[0].length;
      }
      response.destroy();
    }
  }

  async delete(sha256: string): Promise<void> {
    drain(await this.#client.send({ method: 'DELETE', key: this.#key(sha256) }, [404]));
  }

  async *list(): AsyncIterable<{ sha256: string; bytes: number; putAt: Date }> {
    let token: string | undefined;
    do {
      const query = { 'list-type': '2', prefix: this.#prefix, ...(token && { 'continuation-token': token }) };
      const page = await textOf(await this.#client.send({ method: 'GET', key: '', query }), MAX_LIST_BYTES);
      for (const [, entry] of page.matchAll(/<Contents>(.*?)<\/Contents>/gs)) {
        const key = element(entry, 'Key') ?? '';
        const sha256 = key.slice(key.lastIndexOf('/') + 1);
        if (!SHA256.test(sha256) || key !== this.#key(sha256)) continue;
        yield { sha256, bytes: Number(element(entry, 'Size')), putAt: new Date(element(entry, 'LastModified') ?? '') };
      }
      token = element(page, 'NextContinuationToken');
    } while (token !== undefined);
  }

  /** Between the look and the deletion lies one request: who collects keeps a margin of time, and `put` makes an object new. */
  async collect(sha256: string, before: Date): Promise<boolean> {
    const response = await this.#client.send({ method: 'HEAD', key: this.#key(sha256) }, [404]);
    drain(response);
    const putAt = Date.parse(response.headers['last-modified'] ?? '');
    if (response.statusCode === 404 || !(putAt < before.getTime())) return false;
    await this.delete(sha256);
    return true;
  }

  /** Copies an object onto itself, so that it counts as new; false: there is none. */
  async #touch(key: string): Promise<boolean> {
    const head = await this.#client.send({ method: 'HEAD', key }, [404]);
    drain(head);
    if (head.statusCode === 404) return false;
    const headers = { 'x-amz-copy-source': this.#client.copySource(key), 'x-amz-metadata-directive': 'REPLACE' };
    const copied = await this.#client.send({ method: 'PUT', key, headers }, [404]);
    // A copy may begin with 200 and end with an error (CopyObject, "Response").
    const said = await textOf(copied, MAX_LIST_BYTES);
    return copied.statusCode !== 404 && !said.includes('<Error>');
  }

  async #upload(key: string, body: NonNullable<S3Request['body']>): Promise<void> {
    const headers = { 'content-type': 'application/octet-stream' };
    drain(await this.#client.send({ method: 'PUT', key, headers, body }));
  }

  /** The bytes from `offset` on; empty beyond the end. */
  async #fetch(sha256: string, offset?: number, length?: number): Promise<IncomingMessage | Readable> {
    const headers: Record<string, string> =
      offset === undefined ? {} : { range: `bytes=${offset}-${offset + (length as number) - 1}` };
    const response = await this.#client.send({ method: 'GET', key: this.#key(sha256), headers }, [404, 416]);
    if (response.statusCode === 200 || response.statusCode === 206) return response;
    drain(response);
    if (response.statusCode === 416) return Readable.from([]);
    throw new ObjectMissingError(`object ${sha256} is not in the store`);
  }

  #key(sha256: string): string {
    if (!SHA256.test(sha256)) throw new RangeError(`"${sha256.slice(0, 80)}" is no SHA-256`);
    return `${this.#prefix}${sha256.slice(0, 2)}/${sha256}`;
  }
}

/** Parts that lie side by side, together. */
function runsOf(places: readonly Place[]): Place[][] {
  const runs: Place[][] = [];
  for (const place of places) {
    const run = runs[runs.length - 1];
    const last = run?.[run.length - 1];
    const joins =
      last !== undefined &&
      last.offset + last.length === place.offset &&
      place.offset + place.length - run[0].offset <= MAX_RUN_BYTES;
    if (joins) run.push(place);
    else runs.push([place]);
  }
  return runs;
}

async function collect(source: Readable, path: string): Promise<{ hash: string; length: number }> {
  const hash = createHash('sha256');
  let length = 0;
  const count = new Transform({
    transform(piece: Buffer, _encoding, done) {
      hash.update(piece);
      length += piece.length;
      done(null, piece);
    },
  });
  await pipeline(source, count, createWriteStream(path, { mode: 0o600, flags: 'wx' }));
  return { hash: hash.digest('hex'), length };
}

function check(wanted: string, actual: string): void {
  if (actual !== wanted) throw new RangeError(`object ${wanted} hashes to ${actual}`);
}

function element(xml: string, name: string): string | undefined {
  return new RegExp(`<${name}>([^<]*)</${name}>`).exec(xml)?.[1];
}

/** Reads an answer to its end, so that its connection can be used again. */
function drain(response: IncomingMessage): void {
  response.resume();
}
