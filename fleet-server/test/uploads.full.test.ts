import { randomBytes } from 'node:crypto';
import { readdir, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { UploadRepository } from '@vigie/fleet-server/io/database/upload-repository';
import { UploadFolder } from '@vigie/fleet-server/io/upload-folder';
import type { RunningServer } from '@vigie/fleet-server/main';
import { type FetchPackage, ReleaseUploads } from '@vigie/fleet-server/services/release-uploads';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  Api,
  dataFolder,
  dropTemplate,
  openTestDatabase,
  sha256,
  spawnServer,
  start,
  temporaryFolder,
  until,
  zooPackage,
} from './server-fixture.js';

let directory: string;
let server: RunningServer;
let api: Api;
let fp32: Awaited<ReturnType<typeof zooPackage>>;
let int8: Awaited<ReturnType<typeof zooPackage>>;

beforeAll(async () => {
  const made = await dataFolder();
  directory = made.dataDirectory;
  server = await start(directory, { upload: { maxOpen: 3, maxBytes: 4_000_000 } });
  api = new Api(server.httpUrl, made.adminToken);
  fp32 = await zooPackage('fp32');
  int8 = await zooPackage('int8');
});

afterAll(async () => {
  await server?.close();
  await rm(join(directory, '..'), { recursive: true, force: true });
  await dropTemplate();
});

interface UploadView {
  id: string;
  state: string;
  received: number | null;
  failure: { code: string; packageCode?: string } | null;
  release: { name: string; version: string } | null;
  created: boolean | null;
}

const create = (body: object, to = api) => to.call('POST', '/api/v1/uploads', body);
const created = async (body: object, to = api) => {
  const made = await create(body, to);
  expect(made.status, JSON.stringify(made.body)).toBe(201);
  return (made.body as unknown as UploadView).id;
};
const view = async (id: string, to = api) =>
  (await to.call('GET', `/api/v1/uploads/${id}`)).body as unknown as UploadView;
const ended = (id: string, to = api) =>
  until(`the end of upload ${id}`, async () => {
    const seen = await view(id, to);
    return seen.state === 'done' || seen.state === 'refused' ? seen : null;
  });

function piece(id: string, offset: number, bytes: Buffer, to = api) {
  return fetch(`${to.url}/api/v1/uploads/${id}`, {
    method: 'PATCH',
    headers: {
      ...{ authorization: `Bearer ${to.token}`, 'content-type': 'application/offset+octet-stream' },
      'upload-offset': String(offset),
    },
    body: new Uint8Array(bytes),
  });
}

async function offsetOf(id: string, to = api): Promise<number> {
  const answer = await fetch(`${to.url}/api/v1/uploads/${id}`, {
    method: 'HEAD',
    headers: { authorization: `Bearer ${to.token}` },
  });
  expect([answer.status, answer.headers.get('tus-resumable')]).toEqual([200, '1.0.0']);
  return Number(answer.headers.get('upload-offset'));
}

/** Sends a part of a piece and leaves the connection as it is: neither ended nor torn. Returns what tears it. */
function stall(id: string, offset: number, bytes: Buffer, to = api): () => void {
  const client = request(`${to.url}/api/v1/uploads/${id}`, {
    method: 'PATCH',
    headers: {
      ...{ authorization: `Bearer ${to.token}`, 'content-type': 'application/offset+octet-stream' },
      ...{ 'upload-offset': offset, 'content-length': bytes.length + 1000 },
    },
  });
  client.on('error', () => undefined);
  client.write(bytes);
  return () => client.destroy();
}

describe('an upload in pieces', () => {
  it('goes on where it was cut, is verified, and becomes a release', async () => {
    const id = await created({ bytes: int8.bytes.length, sha256: sha256(int8.bytes), notes: 'night run' });
    expect(await offsetOf(id)).toBe(0);
    const first = await piece(id, 0, int8.bytes.subarray(0, 100_000));
    expect([first.status, first.headers.get('upload-offset')]).toEqual([204, '100000']);
    const tear = stall(id, 100_000, int8.bytes.subarray(100_000, 150_000));
    await until('half a piece', async () => (await view(id)).received === 150_000);
    tear();
    const wrong = await piece(id, 100_000, int8.bytes.subarray(100_000));
    expect([wrong.status, wrong.headers.get('upload-offset')]).toEqual([409, '150000']);
    expect(((await wrong.json()) as { code: string }).code).toBe('UPLOAD_OFFSET_WRONG');
    const offset = await offsetOf(id);
    expect(offset).toBe(150_000);
    expect((await piece(id, offset, int8.bytes.subarray(offset))).status).toBe(204);
    const end = await ended(id);
    expect(end).toMatchObject({
      ...{ state: 'done', created: true, failure: null },
      release: { name: int8.name, version: int8.version },
    });
    const release = await api.call('GET', `/api/v1/releases/${int8.name}/${int8.version}`);
    expect(release.body).toMatchObject({ digest: int8.digest, notes: 'night run', state: 'released' });
    const late = await piece(id, int8.bytes.length, Buffer.from('x'));
    expect(((await late.json()) as { code: string }).code).toBe('UPLOAD_CLOSED');
    expect(await readdir(join(directory, 'uploads'))).toEqual(['home']);
  });

  it('is not held by a connection that went silent', async () => {
    const id = await created({ bytes: 200_000 });
    const tear = stall(id, 0, randomBytes(50_000));
    await until('what the silent one sent', async () => (await view(id)).received === 50_000);
    const next = await piece(id, 50_000, randomBytes(10_000));
    expect([next.status, next.headers.get('upload-offset')]).toEqual([204, '60000']);
    tear();
    expect((await api.call('DELETE', `/api/v1/uploads/${id}`)).status).toBe(204);
    expect(await view(id)).toMatchObject({ state: 'refused', failure: { code: 'UPLOAD_CANCELLED' } });
  });

  it('is refused with a code when it is no package, or not what was announced', async () => {
    const garbage = randomBytes(5000);
    const none = await created({ bytes: garbage.length });
    expect((await piece(none, 0, garbage)).status).toBe(204);
    expect((await ended(none)).failure).toMatchObject({ code: 'PACKAGE_INVALID', packageCode: 'ARCHIVE_INVALID' });
    const other = await created({ bytes: garbage.length, sha256: sha256(Buffer.from('something else')) });
    expect((await piece(other, 0, garbage)).status).toBe(204);
    expect((await ended(other)).failure?.code).toBe('UPLOAD_CORRUPT');
  });

  it('keeps to what was announced and to the bounds', async () => {
    const id = await created({ bytes: 1000 });
    expect((await piece(id, 0, randomBytes(400))).status).toBe(204);
    const more = await piece(id, 400, randomBytes(601));
    expect([more.status, more.headers.get('upload-offset')]).toEqual([413, '400']);
    const streamed = await fetch(`${api.url}/api/v1/uploads/${id}`, {
      method: 'PATCH',
      headers: {
        ...{ authorization: `Bearer ${api.token}`, 'content-type': 'application/offset+octet-stream' },
        'upload-offset': '400',
      },
      body: Readable.toWeb(Readable.from([randomBytes(300), randomBytes(301)])) as ReadableStream,
      duplex: 'half',
    } as RequestInit);
    expect([streamed.status, await offsetOf(id)], 'without a length').toEqual([413, 400]);
    for (const _ of [1, 2]) await created({ bytes: 10 });
    expect((await create({ bytes: 10 })).body.code).toBe('UPLOADS_FULL');
    expect((await create({ bytes: 4_000_001 })).body.code).toBe('UPLOAD_TOO_LARGE');
    expect((await create({ bytes: 0 })).status).toBe(400);
    expect((await create({})).status).toBe(400);
    const { items } = (await api.call('GET', '/api/v1/uploads?limit=3')).body as unknown as { items: UploadView[] };
    for (const { id: open } of items) expect((await api.call('DELETE', `/api/v1/uploads/${open}`)).status).toBe(204);
    const unknown = await piece('00000000-0000-4000-8000-000000000000', 0, Buffer.from('x'));
    expect([unknown.status, ((await unknown.json()) as { code: string }).code]).toEqual([404, 'UPLOAD_UNKNOWN']);
    const nameless = await fetch(`${api.url}/api/v1/uploads/${id}`, {
      method: 'PATCH',
      body: 'x',
      headers: { authorization: `Bearer ${api.token}` },
    });
    expect(nameless.status).toBe(415);
  });

  it('may be begun as tus 1.0 does', async () => {
    const answer = await fetch(`${api.url}/api/v1/uploads`, {
      method: 'POST',
      headers: {
        ...{ authorization: `Bearer ${api.token}`, 'tus-resumable': '1.0.0', 'upload-length': '77' },
        'upload-metadata': `filename ${btoa('a.vigie')},notes ${btoa('by tus')}`,
      },
    });
    expect(answer.status).toBe(201);
    const id = answer.headers.get('location')?.split('/').at(-1) as string;
    expect(await view(id)).toMatchObject({ bytes: 77, notes: 'by tus', state: 'receiving' });
    await api.call('DELETE', `/api/v1/uploads/${id}`);
  });
});

describe('after a SIGKILL of the server', () => {
  it('an upload goes on, and one that was complete is verified', async () => {
    const made = await dataFolder();
    let process = await spawnServer(made.dataDirectory);
    try {
      let to = new Api(process.http, made.adminToken);
      const half = await created({ bytes: fp32.bytes.length, sha256: sha256(fp32.bytes) }, to);
      expect((await piece(half, 0, fp32.bytes.subarray(0, 200_000), to)).status).toBe(204);
      stall(half, 200_000, fp32.bytes.subarray(200_000, 300_000), to);
      await until('half a piece', async () => (await view(half, to)).received === 300_000);
      const whole = await created({ bytes: int8.bytes.length }, to);
      expect((await piece(whole, 0, int8.bytes, to)).status).toBe(204);
      await process.kill('SIGKILL');
      process = await spawnServer(made.dataDirectory);
      to = new Api(process.http, made.adminToken);
      expect(await ended(whole, to)).toMatchObject({ state: 'done', release: { version: int8.version } });
      const offset = await offsetOf(half, to);
      expect(offset).toBe(300_000);
      expect((await piece(half, offset, fp32.bytes.subarray(offset), to)).status).toBe(204);
      expect(await ended(half, to)).toMatchObject({ state: 'done', release: { version: fp32.version } });
    } finally {
      await process.kill('SIGKILL');
      await rm(join(made.dataDirectory, '..'), { recursive: true, force: true });
    }
  }, 120_000);
});

describe('an upload that nobody continues', () => {
  it('is dropped with its bytes, and forgotten later; one of another replica is left alone', async () => {
    const folder = await temporaryFolder();
    const database = await openTestDatabase(folder);
    try {
      let now = new Date();
      const repository = new UploadRepository(database);
      const none: FetchPackage = async () => ({ ok: false, failure: { code: 'NONE', detail: '' } });
      const replica = async (name: string) => {
        const files = await UploadFolder.open(join(folder, name));
        const limits = { maxBytes: 1000, maxOpen: 9, expiryMs: 3_600_000 };
        const log = pino({ level: 'silent' });
        return new ReleaseUploads(repository, files, {} as never, none, limits, name, log, () => now);
      };
      const mine = await replica('mine');
      const theirs = await replica('theirs');
      const wanted = { actor: 'me', bytes: 100 };
      const made = await mine.create(wanted);
      const foreign = await theirs.create(wanted);
      if (!made.ok || !foreign.ok) throw new Error('not created');
      const { id } = made.upload;
      expect(await mine.append(id, 0, null, Readable.from([randomBytes(40)]))).toEqual({ ok: true, offset: 40 });
      expect(await mine.append(foreign.upload.id, 0, null, Readable.from([]))).toMatchObject({
        ...{ code: 'UPLOAD_ELSEWHERE', replica: 'theirs' },
      });
      // Given up where the bytes are not: they go when the other one looks.
      const [left, read] = [await theirs.create(wanted), () => readdir(join(folder, 'theirs'))];
      if (!left.ok) throw new Error('not created');
      await theirs.append(left.upload.id, 0, null, Readable.from([randomBytes(40)]));
      expect(await mine.cancel(left.upload.id)).toEqual({ ok: true });
      expect(await theirs.append(left.upload.id, 40, null, Readable.from([randomBytes(60)]))).toMatchObject({
        code: 'UPLOAD_CLOSED',
      });
      expect((await read()).sort()).toEqual([left.upload.id, 'home'].sort());
      await theirs.sweep();
      expect(await read()).toEqual(['home']);
      now = new Date(now.getTime() + 3_599_000);
      await mine.sweep();
      expect((await repository.find(id))?.state, 'in time').toBe('receiving');
      now = new Date(now.getTime() + 2000);
      await mine.sweep();
      expect(await repository.find(id)).toMatchObject({ state: 'refused', failure: { code: 'UPLOAD_EXPIRED' } });
      expect(await readdir(join(folder, 'mine'))).toEqual(['home']);
      expect((await repository.find(foreign.upload.id))?.state).toBe('receiving');
      now = new Date(now.getTime() + 31 * 86_400_000);
      await mine.sweep();
      expect(await repository.find(id)).toBeNull();
    } finally {
      await database.close();
      await rm(folder, { recursive: true, force: true });
    }
  });
});
