import { cp, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { RunningServer } from '@vigie/fleet-server/main';
import { deviceTopic } from '@vigie/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PostgresCluster } from './postgres-cluster.js';
import {
  Api,
  dataFolder,
  dropTemplate,
  Listener,
  newBoot,
  report,
  runCli,
  start,
  until,
  zooPackage,
} from './server-fixture.js';

/** `vigie-server migrate` on the data folder of a fleet that has lived. */
describe('moving from the embedded database to PostgreSQL', () => {
  let cluster: PostgresCluster;
  let directory: string;
  let server: RunningServer;
  let api: Api;
  let url: string;
  let before: Record<string, unknown>;

  const look = async () => {
    const get = async (path: string) => (await api.call('GET', path)).body;
    const { tuf } = (await get('/health')) as unknown as { tuf: { targets: number; certified: number } };
    return {
      devices: await get('/api/v1/devices'),
      releases: await get('/api/v1/releases'),
      events: await get('/api/v1/events'),
      versions: [tuf.targets, tuf.certified],
    };
  };
  const migrate = (to = url) =>
    runCli('server-cli.js', ['migrate', '--from', 'embedded', '--to', to, '--data', directory, '--json']);

  beforeAll(async () => {
    cluster = await PostgresCluster.start();
    url = await cluster.createDatabase();
    const made = await dataFolder();
    directory = made.dataDirectory;
    server = await start(directory);
    api = new Api(server.httpUrl, made.adminToken);
    const { bytes, name, version } = await zooPackage('int8');
    expect((await api.call('POST', '/api/v1/releases', bytes)).status).toBe(201);
    const board = await Listener.device(await api.enroll('board-1'));
    expect((await api.call('POST', '/api/v1/assignments', { devices: ['board-1'], name, version })).status).toBe(202);
    const boot = newBoot();
    for (let sequence = 1; sequence <= 50; sequence += 1)
      await board.client.publishAsync(deviceTopic('board-1', 'reported'), JSON.stringify(report(boot, sequence)), {
        qos: 1,
      });
    await board.end();
    await until('its last report to be stored, and the board to be gone', async () => {
      const { presence, reported } = (await api.call('GET', '/api/v1/devices/board-1')).body as unknown as {
        presence: { online: boolean };
        reported: { sequence: number } | null;
      };
      return !presence.online && reported?.sequence === 50;
    });
    before = await look();
    const running = await migrate();
    expect([running.code, running.stderr]).toEqual([2, expect.stringContaining('another vigie-server runs')]);
    await server.close();
  }, 120_000);

  afterAll(async () => {
    await server?.close();
    await cluster?.stop();
    await rm(join(directory, '..'), { recursive: true, force: true });
    await dropTemplate();
  });

  it('copies everything, once', async () => {
    const { code, stdout, stderr } = await migrate();
    expect([code, stderr]).toEqual([0, expect.stringContaining('counts and checksums of all tables agree')]);
    const { tables } = JSON.parse(stdout) as { tables: { name: string; rows: number }[] };
    expect(tables.find(({ name }) => name === 'reports')).toEqual({ name: 'reports', rows: 50 });
    const again = await migrate();
    expect([again.code, again.stderr]).toEqual([
      1,
      expect.stringMatching(/^vigie-server: the target holds a fleet already/),
    ]);
  }, 120_000);

  it('lets the server go on there where it stood', async () => {
    const marker = await readFile(join(directory, 'vigie-server.json'), 'utf8');
    await cp(join(directory, 'database'), join(directory, 'embedded-as-it-was'), { recursive: true });
    await rm(join(directory, 'database'), { recursive: true });
    await rm(join(directory, 'tuf'), { recursive: true });
    const { token } = api;
    server = await start(directory, { database: { url } });
    api = new Api(server.httpUrl, token);
    expect(await look()).toEqual(before);
    // Numbers go on: a new report, a new release.
    const { bytes } = await zooPackage('fp32');
    expect((await api.call('POST', '/api/v1/releases', bytes)).status).toBe(201);
    expect((await api.call('POST', '/api/v1/enrollment-tokens')).status).toBe(201);
    expect(await readFile(join(directory, 'vigie-server.json'), 'utf8')).toBe(marker);
  }, 120_000);
});
