import { readdir, readFile, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { RunningServer } from '@vigie/fleet-server/main';
import { ObjectAccess } from '@vigie/fleet-server/services/object-access';
import type { ReleaseDescriptor } from '@vigie/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Api, dataFolder, dropTemplate, repository, sha256, start, tlsOf, ZOO, zooPackage } from './server-fixture.js';

let directory: string;
let server: RunningServer;
let api: Api;
let token: string;
let model: Buffer;
let descriptor: ReleaseDescriptor;

beforeAll(async () => {
  const made = await dataFolder();
  directory = made.dataDirectory;
  token = made.adminToken;
  server = await start(directory);
  api = new Api(server.httpUrl, token);
  const { bytes, name, version } = await zooPackage('int8');
  expect((await api.call('POST', '/api/v1/releases', bytes)).status).toBe(201);
  const release = (await api.call('GET', `/api/v1/releases/${name}/${version}`)).body;
  descriptor = release.descriptor as unknown as ReleaseDescriptor;
  model = await readFile(join(repository, ZOO.int8, 'model.onnx'));
});

afterAll(async () => {
  await server?.close();
  await rm(join(directory, '..'), { recursive: true, force: true });
  await dropTemplate();
});

/** A GET as a board sends it. */
function get(name: string, headers: Record<string, string> = {}) {
  return fetch(`${server.httpUrl}/api/v1/objects/${name}`, {
    headers: { authorization: `Bearer ${token}`, ...headers },
  });
}

describe('objects by HTTP', () => {
  it('are the files and the descriptor of a released release, whole or in part', async () => {
    const whole = await get(sha256(model));
    expect(whole.status).toBe(200);
    expect(Buffer.from(await whole.arrayBuffer())).toEqual(model);
    expect(whole.headers.get('accept-ranges')).toBe('bytes');
    const tag = whole.headers.get('etag') as string;
    expect(tag).toBe(`"${sha256(model)}"`);
    expect(whole.headers.get('cache-control')).toContain('immutable');

    const part = await get(sha256(model), { range: 'bytes=1000-1999' });
    expect(part.status).toBe(206);
    expect(part.headers.get('content-range')).toBe(`bytes 1000-1999/${model.length}`);
    expect(part.headers.get('content-length')).toBe('1000');
    expect(Buffer.from(await part.arrayBuffer())).toEqual(model.subarray(1000, 2000));

    const rest = await get(sha256(model), { range: `bytes=${model.length - 5}-` });
    expect(Buffer.from(await rest.arrayBuffer())).toEqual(model.subarray(-5));
    for (const file of descriptor.files) expect((await get(file.sha256, { range: 'bytes=0-0' })).status).toBe(206);
    expect(descriptor.requires.memoryBytes).toBeGreaterThan(20 * 1024 * 1024);
    // The bytes that were signed: the database keeps JSON as a value.
    const blobs = join(directory, 'blobs');
    const stored = (await readdir(blobs, { recursive: true }))
      .map((path) => path.slice(3))
      .filter((n) => n.length === 64);
    const others = stored.filter((name) => !descriptor.files.some((file) => file.sha256 === name));
    const texts = await Promise.all(others.map((name) => readFile(join(blobs, name.slice(0, 2), name), 'utf8')));
    const index = texts.findIndex((text) => text.includes('"chunkSizes"'));
    const described = await get(others[index]);
    expect(JSON.parse(await described.text())).toEqual(descriptor);
  });

  it('obey conditions', async () => {
    const tag = `"${sha256(model)}"`;
    expect((await get(sha256(model), { 'if-none-match': tag })).status).toBe(304);
    const stale = await get(sha256(model), { range: 'bytes=0-9', 'if-range': '"another"' });
    expect(stale.status).toBe(200);
    await stale.arrayBuffer();
    expect((await get(sha256(model), { range: 'bytes=0-9', 'if-range': tag })).status).toBe(206);
  });

  it('have no range beyond their end', async () => {
    const answer = await get(sha256(model), { range: `bytes=${model.length}-` });
    expect(answer.status).toBe(416);
    expect(answer.headers.get('content-range')).toBe(`bytes */${model.length}`);
    expect(await answer.json()).toMatchObject({ code: 'RANGE_IMPOSSIBLE' });
  });

  it('are nobody’s without a token, and nothing else is served', async () => {
    expect((await fetch(`${server.httpUrl}/api/v1/objects/${sha256(model)}`)).status).toBe(401);
    expect((await get('0'.repeat(64))).status).toBe(404);
    expect((await get('../keys')).status).toBe(404);
    expect((await get('abc')).status).toBe(400);
  });

  it('are for boards with a certificate that counts, over TLS', async () => {
    const board = await api.enroll('object-board');
    const status = (tls: object) =>
      new Promise<number>((resolve, reject) => {
        const url = `${server.httpsUrl}/api/v1/objects/${sha256(model)}`;
        const asked = httpsRequest(url, { ...tls, agent: false, headers: { range: 'bytes=0-99' } }, (response) => {
          response.resume();
          resolve(response.statusCode ?? 0);
        });
        asked.on('error', reject);
        asked.end();
      });
    const { ca, ...own } = tlsOf(board);
    expect(await status({ ca, ...own })).toBe(206);
    expect(await status({ ca })).toBe(401);
  });

  it('are read on although a reader went away in the middle', async () => {
    for (let i = 0; i < 5; i += 1) {
      await new Promise<void>((resolve) => {
        const asked = request(
          `${server.httpUrl}/api/v1/objects/${sha256(model)}`,
          { headers: { authorization: `Bearer ${token}` } },
          (response) => {
            response.once('data', () => response.destroy());
            response.once('close', resolve);
          },
        );
        asked.on('error', () => resolve());
        asked.end();
      });
    }
    expect((await get(sha256(model))).status).toBe(200);
  });

  it('are gone with their release', async () => {
    const { name, version } = descriptor;
    expect((await api.call('POST', `/api/v1/releases/${name}/${version}/withdraw`)).status).toBe(200);
    const fresh = new ObjectAccess({ listedObject: async () => null }, {} as never, () => 0);
    expect(await fresh.sizeOf(sha256(model))).toBeNull();
    const labels = descriptor.files.find(({ path }) => path === 'labels.txt')!;
    const deadline = performance.now() + 15_000;
    while ((await get(labels.sha256, { range: 'bytes=0-0' })).status !== 404)
      expect(performance.now()).toBeLessThan(deadline);
  });
});

describe('ObjectAccess', () => {
  it('takes a bounded number of readers, and of each board', async () => {
    const store = { read: async () => Readable.from([]) } as never;
    const access = new ObjectAccess({ listedObject: async () => 1 }, store, () => 0, { all: 3, each: 2 });
    const first = access.enter('a');
    expect(first.ok && access.enter('a').ok).toBe(true);
    expect(access.enter('a').ok).toBe(false);
    expect(access.enter(null).ok).toBe(true);
    expect(access.enter('b').ok).toBe(false);
    if (first.ok) {
      first.leave();
      first.leave();
    }
    expect(access.enter('b').ok).toBe(true);
    expect(access.enter('c').ok).toBe(false);
  });

  it('believes what it knows for seconds only', async () => {
    let size: number | null = 10;
    let now = 0;
    const access = new ObjectAccess({ listedObject: async () => size }, {} as never, () => now);
    expect(await access.sizeOf('x')).toBe(10);
    size = null;
    expect(await access.sizeOf('x')).toBe(10);
    now = 6000;
    expect(await access.sizeOf('x')).toBeNull();
  });
});
