import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { S3Client } from '@vigie/fleet-server/io/s3-client';
import { S3ObjectStore } from '@vigie/fleet-server/io/s3-object-store';
import S3rver from 's3rver';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { S3Line } from './s3-line.js';

const hashOf = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
const credentials = async () => ({ accessKeyId: 'S3RVER', secretAccessKey: 'S3RVER' });

describe('S3 as the object store', () => {
  let folder: string;
  let temporary: string;
  let server: S3rver;
  let line: S3Line;
  let url: string;
  let store: S3ObjectStore;

  const clientOf = (address: string, given = credentials) =>
    new S3Client({ name: 'vigie', url: `${address}/vigie/`, region: 'us-east-1', credentials: given });
  const storeOf = (client: S3Client, prefix = 'fleet/blobs/') => new S3ObjectStore({ client, prefix, temporary });
  const all = async (source: Readable) => Buffer.concat(await source.toArray());

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'vigie-s3-'));
    temporary = await mkdtemp(join(tmpdir(), 'vigie-s3-'));
    server = new S3rver({
      port: 0,
      address: '127.0.0.1',
      silent: true,
      directory: folder,
      configureBuckets: [{ name: 'vigie', configs: [] }],
    });
    const { port } = await server.run();
    line = new S3Line(`http://127.0.0.1:${port}`, 'S3RVER');
    url = await line.start();
    store = storeOf(clientOf(url));
  });

  afterAll(async () => {
    await line.stop();
    await server.close();
    for (const one of [folder, temporary]) await rm(one, { recursive: true, force: true });
  });

  it('stores bytes and streams, and reads them whole, in parts and in pieces', async () => {
    const bytes = randomBytes(3_000_000);
    const name = hashOf(bytes);
    await store.put(name, Readable.from([bytes.subarray(0, 1_000_000), bytes.subarray(1_000_000)]));
    expect(await readdir(temporary)).toEqual([]);
    expect((await store.get(name)).equals(bytes)).toBe(true);
    expect(hashOf(await all(await store.read(name, { offset: 1_999_999, length: 65_536 })))).toBe(
      hashOf(bytes.subarray(1_999_999, 2_065_535)),
    );
    expect(await all(await store.read(name, { offset: 0, length: 0 }))).toEqual(Buffer.alloc(0));
    const places = [
      ...Array.from({ length: 40 }, (_, index) => ({ offset: index * 65_536, length: 65_536 })),
      { offset: 2_990_000, length: 20_000 },
      { offset: 5_000_000, length: 10 },
      { offset: 7, length: 1 },
    ];
    const pieces: Buffer[] = [];
    for await (const piece of store.pieces(name, places)) pieces.push(piece);
    expect(pieces.map(hashOf)).toEqual(
      places.map(({ offset, length }) => hashOf(bytes.subarray(offset, offset + length))),
    );
    const small = Buffer.from('{}');
    await store.put(hashOf(small), small);
    expect(await store.get(hashOf(small))).toEqual(small);
  });

  it('keeps nothing under a name that is not its hash', async () => {
    const wrong = hashOf(Buffer.from('another'));
    await expect(store.put(wrong, Buffer.from('bytes'))).rejects.toThrow('hashes to');
    await expect(store.put(wrong, Readable.from([Buffer.from('bytes')]))).rejects.toThrow('hashes to');
    await expect(store.put('../x', Buffer.alloc(0))).rejects.toThrow('is no SHA-256');
    await expect(store.get(wrong)).rejects.toMatchObject({ code: 'OBJECT_MISSING' });
    await expect(store.read(wrong, { offset: 0, length: 1 })).rejects.toMatchObject({ code: 'OBJECT_MISSING' });
    const pieces = async () => {
      for await (const piece of store.pieces(wrong, [{ offset: 0, length: 1 }])) void piece;
    };
    await expect(pieces()).rejects.toMatchObject({ code: 'OBJECT_MISSING' });
    expect(await readdir(temporary)).toEqual([]);
  });

  it('lists page by page, makes what is put again new, and collects what is old', async () => {
    const other = storeOf(clientOf(url), 'fleet/listed/');
    const objects = Array.from({ length: 12 }, (_, index) => Buffer.from(`object ${index}`));
    for (const bytes of objects) await other.put(hashOf(bytes), bytes);
    const listed = async () => {
      const found: { sha256: string; bytes: number; putAt: Date }[] = [];
      for await (const one of other.list()) found.push(one);
      return found;
    };
    const before = await listed();
    expect(before.map(({ sha256 }) => sha256).sort()).toEqual(objects.map(hashOf).sort());
    expect(before.every(({ bytes, putAt }) => bytes >= 8 && putAt.getTime() > Date.now() - 60_000)).toBe(true);
    const [first, second] = before;
    expect(await other.collect(first.sha256, new Date(Date.now() - 60_000))).toBe(false);
    expect(await other.collect(first.sha256, new Date(Date.now() + 60_000))).toBe(true);
    expect(await other.collect(first.sha256, new Date(Date.now() + 60_000))).toBe(false);
    await other.delete(second.sha256);
    await other.delete(second.sha256);
    expect((await listed()).length).toBe(10);
  });

  it('is refused with other keys, and says so once', async () => {
    const refused = storeOf(clientOf(url, async () => ({ accessKeyId: 'S3RVER', secretAccessKey: 'other' })));
    await expect(refused.put(hashOf(Buffer.from('x')), Buffer.from('x'))).rejects.toMatchObject({
      code: 'OBJECT_STORE_REFUSED',
    });
  });

  it('asks again over a bad line, and gives up in the end', async () => {
    const bytes = randomBytes(200_000);
    line.trouble = ['cut', 503, 500];
    await store.put(hashOf(bytes), Readable.from([bytes]));
    line.trouble = [429, 'cut'];
    expect((await store.get(hashOf(bytes))).equals(bytes)).toBe(true);
    line.trouble = [503, 503, 'cut', 503, 503];
    await expect(store.get(hashOf(bytes))).rejects.toMatchObject({ code: 'OBJECT_STORE_UNAVAILABLE' });
  });
});
