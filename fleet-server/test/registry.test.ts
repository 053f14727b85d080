import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { RunningServer } from '@vigie/fleet-server/main';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  Api,
  changedPackage,
  dataFolder,
  dropTemplate,
  editManifest,
  holdAnswersToSchemas,
  start,
  zooPackage,
} from './server-fixture.js';

holdAnswersToSchemas();

let directory: string;
let server: RunningServer;
let api: Api;
let fp32: Awaited<ReturnType<typeof zooPackage>>;
let int8: Awaited<ReturnType<typeof zooPackage>>;

beforeAll(async () => {
  const made = await dataFolder();
  directory = made.dataDirectory;
  server = await start(directory, { registry: { policy: 'gates' } });
  api = new Api(server.httpUrl, made.adminToken);
  fp32 = await zooPackage('fp32');
  int8 = await zooPackage('int8');
});

afterAll(async () => {
  await server?.close();
  await rm(join(directory, '..'), { recursive: true, force: true });
  await dropTemplate();
});

const path = ({ name, version }: { name: string; version: string }) => `/api/v1/releases/${name}/${version}`;
const promote = (body: object) => api.call('POST', '/api/v1/promotions', { reason: 'it is better', ...body });

describe('under the policy "gates"', () => {
  it('a verified package stays a candidate: listed, fetchable, not certified, not to be assigned', async () => {
    const made = await api.call('POST', '/api/v1/releases', fp32.bytes);
    expect([made.status, made.body.state, made.body.certifiedBy]).toEqual([201, 'candidate', null]);
    expect(made.body).toMatchObject({
      ...{ published: true, uploadedBy: 'first admin', notes: '', provenance: null },
      manifest: { task: 'detect', engine: 'onnx' },
    });
    expect((await api.call('POST', '/api/v1/releases', int8.bytes)).status).toBe(201);
    await api.enroll('board-1');
    const assigned = await api.call('POST', '/api/v1/assignments', {
      devices: ['board-1'],
      name: fp32.name,
      version: fp32.version,
    });
    expect([assigned.status, assigned.body.code]).toEqual([409, 'RELEASE_NOT_RELEASED']);
    const { descriptor } = (await api.call('GET', path(fp32))).body as unknown as {
      descriptor: { files: { sha256: string }[] };
    };
    const object = await fetch(`${server.httpUrl}/api/v1/objects/${descriptor.files[0].sha256}`, {
      headers: { authorization: `Bearer ${api.token}` },
    });
    expect(object.status).toBe(200);
    await object.arrayBuffer();
  });

  it('may be promoted to candidate, and not to champion', async () => {
    const made = await promote({ name: fp32.name, version: fp32.version, alias: 'candidate' });
    expect([made.status, made.body.actor, made.body.alias]).toEqual([201, 'first admin', 'candidate']);
    const champion = await promote({ name: fp32.name, version: fp32.version, alias: 'champion' });
    expect([champion.status, champion.body.code]).toEqual([409, 'RELEASE_NOT_RELEASED']);
    expect((await promote({ name: fp32.name, version: '9.9.9', alias: 'candidate' })).body.code).toBe(
      'RELEASE_UNKNOWN',
    );
    const withoutReason = await promote({ name: fp32.name, version: fp32.version, alias: 'candidate', reason: '' });
    expect(withoutReason.status).toBe(400);
  });
});

describe('notes', () => {
  it('are written and shown', async () => {
    const made = await api.call('PUT', `${path(int8)}/notes`, { notes: 'quantised on 512 frames' });
    expect([made.status, made.body.notes]).toEqual([200, 'quantised on 512 frames']);
    expect((await api.call('GET', path(int8))).body.notes).toBe('quantised on 512 frames');
    expect((await api.call('PUT', '/api/v1/releases/nobody/1.0.0/notes', { notes: '' })).body.code).toBe(
      'RELEASE_UNKNOWN',
    );
    expect((await api.call('PUT', `${path(int8)}/notes`, { notes: 'x'.repeat(8001) })).status).toBe(400);
  });
});

describe('under the default policy', () => {
  beforeAll(async () => {
    await server.close();
    server = await start(directory);
    api = new Api(server.httpUrl, api.token);
  });

  it('any two releases are compared, with what was measured of them', async () => {
    const label = ({ name, version }: { name: string; version: string }) => `${name}@${version}`;
    const platform = { arch: 'arm64', cpu: 'Cortex-A76', cores: 4, node: 'v20', runtime: 'onnx', emulated: false };
    for (const [one, fps] of [[fp32, 4.8] as const, [int8, 12.6] as const]) {
      const { name, version, digest } = one;
      const posted = await api.call('POST', '/api/v1/benchmarks', {
        ...{ schema: 'vigie.benchmark/1', benchmark: 'run', at: new Date().toISOString(), samples: 300, platform },
        ...{ release: { name, version, digest }, metrics: { fps } },
      });
      expect(posted.status, JSON.stringify(posted.body)).toBeLessThan(300);
    }
    const query = `a=${label(fp32)}&b=${label(int8)}`;
    const { rows } = (await api.call('GET', `/api/v1/releases/compare?${query}`)).body as unknown as {
      rows: { group: string; metric: string; a: number; b: number; better: string }[];
    };
    expect(rows.find(({ metric }) => metric === 'fps')).toMatchObject({
      ...{ group: 'arm64, run', a: 4.8, b: 12.6, better: 'b' },
    });
    expect(rows.find(({ metric }) => metric === 'modelBytes')?.better).toBe('b');
    expect(rows.some(({ group }) => group.startsWith('manifest'))).toBe(true);
    const get = async (format: string) => {
      const answer = await fetch(`${api.url}/api/v1/releases/compare?${query}&format=${format}`, {
        headers: { authorization: `Bearer ${api.token}` },
      });
      return `${answer.headers.get('content-type')}\n${await answer.text()}`;
    };
    expect(await get('csv')).toMatch(/^text\/csv; charset=utf-8; header=present\ngroup,metric,unit,/);
    expect(await get('csv')).toContain('"arm64, run",fps,FPS,4.8,12.6,');
    expect(await get('markdown')).toContain('| fps (FPS) | 4.8 | 12.6 |');
    const unknown = await api.call('GET', `/api/v1/releases/compare?a=${label(fp32)}&b=nobody@1.0.0`);
    expect([unknown.status, unknown.body.code]).toEqual([404, 'RELEASE_UNKNOWN']);
  });

  it('a champion is chosen, compared with the one before, and falls back when it is withdrawn', async () => {
    const versions = ['5.0.0', '5.0.1'];
    for (const version of versions) {
      const bytes = await changedPackage('int8', (folder) =>
        editManifest(folder, (text) => text.replace(/^version: .*$/m, `version: ${version}`)),
      );
      expect((await api.call('POST', '/api/v1/releases', bytes)).body.state).toBe('released');
      expect((await promote({ name: int8.name, version, alias: 'champion' })).status).toBe(201);
    }
    const list = await api.call('GET', `/api/v1/promotions?name=${int8.name}&alias=champion&limit=1`);
    const [newest] = list.body.items as { version: string; compared: { version: string }[] }[];
    expect(newest.version).toBe('5.0.1');
    expect(newest.compared.map(({ version }) => version)).toEqual(['5.0.1', '5.0.0']);
    const second = await api.call(
      'GET',
      `/api/v1/promotions?name=${int8.name}&alias=champion&limit=1&cursor=${list.body.next}`,
    );
    expect(second.body).toMatchObject({ items: [{ version: '5.0.0' }], next: null });
    const champion = async () =>
      ((await api.call('GET', '/api/v1/models')).body.items as { name: string; champion: { version: string } }[]).find(
        ({ name }) => name === int8.name,
      )?.champion.version;
    expect(await champion()).toBe('5.0.1');
    expect((await api.call('GET', path({ name: int8.name, version: '5.0.1' }))).body.aliases).toEqual(['champion']);
    const withdrawn = await api.call('POST', `/api/v1/releases/${int8.name}/5.0.1/withdraw`, { reason: 'too noisy' });
    expect(withdrawn.body.state).toBe('withdrawn');
    expect(await champion()).toBe('5.0.0');
    expect((await promote({ name: int8.name, version: '5.0.1', alias: 'candidate' })).body.code).toBe(
      'RELEASE_WITHDRAWN',
    );
  });
});
