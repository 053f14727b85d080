import { readdir, rm, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import type { RunningServer } from '@vigie/fleet-server/main';
import { deviceTopic, encodeMessage, type ReleaseDescriptor } from '@vigie/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  Api,
  changedPackage,
  dataFolder,
  dropTemplate,
  editManifest,
  Listener,
  newBoot,
  report,
  start,
  until,
  zooPackage,
} from './server-fixture.js';

let directory: string;
let server: RunningServer;
let api: Api;

beforeAll(async () => {
  const made = await dataFolder();
  directory = made.dataDirectory;
  server = await start(directory);
  api = new Api(server.httpUrl, made.adminToken);
});
afterAll(async () => {
  await server?.close();
  await rm(join(directory, '..'), { recursive: true, force: true });
  await dropTemplate();
});

const blobs = () => join(directory, 'blobs');
async function held(): Promise<Set<string>> {
  const folders = (await readdir(blobs())).filter((name) => name.length === 2);
  return new Set((await Promise.all(folders.map((folder) => readdir(join(blobs(), folder))))).flat());
}
/** Makes everything in the store old. */
async function age(): Promise<void> {
  const old = new Date(Date.now() - 48 * 3_600_000);
  for (const name of await held()) await utimes(join(blobs(), name.slice(0, 2), name), old, old);
}
const collect = async () =>
  (await api.call('POST', '/api/v1/storage/collect')).body as unknown as { deletedObjects: number };
const descriptorOf = async (name: string, version: string) =>
  (await api.call('GET', `/api/v1/releases/${name}/${version}`)).body.descriptor as unknown as ReleaseDescriptor;
const version = (which: 'fp32' | 'int8', text: string) =>
  changedPackage(which, (folder) =>
    editManifest(folder, (manifest) => manifest.replace(/^version: .*$/m, `version: ${text}`)),
  );

describe('the garbage collector', () => {
  it('deletes the bytes of a withdrawn release once no board has it, and nothing else', async () => {
    const { bytes, name } = await zooPackage('fp32');
    expect((await api.call('POST', '/api/v1/releases', bytes)).status).toBe(201);
    const int8 = await zooPackage('int8');
    expect((await api.call('POST', '/api/v1/releases', int8.bytes)).status).toBe(201);
    const kept = await descriptorOf(name, (await zooPackage('fp32')).version);
    const gone = await descriptorOf(int8.name, int8.version);
    const shared = new Set(kept.files.map(({ sha256 }) => sha256));
    const own = gone.files.map(({ sha256 }) => sha256).filter((sha256) => !shared.has(sha256));
    expect(own.length).toBeGreaterThan(0);

    const board = await api.enroll('board-1');
    const line = await Listener.device(board);
    const running = { release: { name: int8.name, version: int8.version, digest: int8.digest }, framesRun: 5 };
    const active = { ...running, since: new Date().toISOString() };
    const message = report(newBoot(), 1, { active });
    line.client.publish(deviceTopic('board-1', 'reported'), encodeMessage('reported', message), {
      qos: 1,
      retain: true,
    });
    await until('the report', async () => (await api.call('GET', '/api/v1/devices/board-1')).body.reported);
    expect((await api.call('POST', `/api/v1/releases/${int8.name}/${int8.version}/withdraw`)).status).toBe(200);
    await age();
    const before = await held();
    await collect();
    const whileRunning = await held();
    for (const sha256 of own) expect(whileRunning.has(sha256), 'a board runs it').toBe(true);

    await line.end();
    const storage = (await api.call('GET', '/api/v1/storage')).body as unknown as { objects: number };
    expect(storage.objects).toBe(whileRunning.size);
    expect([...before].filter((sha256) => !whileRunning.has(sha256))).toEqual([]);
  });

  it('leaves what is young, takes it later, and keeps certificates and key lists', async () => {
    const { name } = await zooPackage('fp32');
    const bytes = await version('fp32', '7.0.0');
    expect((await api.call('POST', '/api/v1/releases', bytes)).status).toBe(201);
    expect((await api.call('POST', `/api/v1/releases/${name}/7.0.0/withdraw`)).status).toBe(200);
    const withdrawn = await descriptorOf(name, '7.0.0');
    const manifest = withdrawn.files.find(({ path }) => path === 'manifest.yaml')!.sha256;
    await collect();
    expect((await held()).has(manifest), 'young').toBe(true);
    await age();
    expect((await collect()).deletedObjects).toBeGreaterThan(0);
    expect((await held()).has(manifest)).toBe(false);
    expect((await collect()).deletedObjects).toBe(0);
    const model = withdrawn.files.find(({ path }) => path.endsWith('.onnx'))!.sha256;
    expect((await held()).has(model), 'another release has the same model').toBe(true);
    await server.close();
    server = await start(directory);
    api = new Api(server.httpUrl, api.token);
    expect((await api.call('GET', '/api/v1/releases')).status).toBe(200);
  });

  it('takes nothing from an upload of bytes that it was about to delete', async () => {
    const { name } = await zooPackage('int8');
    for (const round of [1, 2, 3]) {
      const gone = await version('int8', `8.0.${round}`);
      expect((await api.call('POST', '/api/v1/releases', gone)).status).toBe(201);
      expect((await api.call('POST', `/api/v1/releases/${name}/8.0.${round}/withdraw`)).status).toBe(200);
      await age();
      // The same files but for the manifest: they are old, and referred to by nobody until the row is there.
      const again = await version('int8', `9.0.${round}`);
      let uploading = true;
      const upload = api.call('POST', '/api/v1/releases', again).finally(() => {
        uploading = false;
      });
      while (uploading) await collect();
      expect((await upload).status).toBe(201);
      const present = await held();
      for (const { sha256, path } of (await descriptorOf(name, `9.0.${round}`)).files)
        expect(present.has(sha256), path).toBe(true);
    }
  });
});
