import type { RunningServer } from '@vigie/fleet-server/main';
import { deviceTopic, type EnrollResponse } from '@vigie/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PostgresCluster } from './postgres-cluster.js';
import { Api, initialised, Listener, newBoot, report, start, until } from './server-fixture.js';

/** The server on PostgreSQL, whose database goes away for a while. */
describe('a database that goes away', () => {
  let cluster: PostgresCluster;
  let server: RunningServer;
  let api: Api;
  let board: EnrollResponse;

  beforeAll(async () => {
    cluster = await PostgresCluster.start();
    const database = { url: await cluster.createDatabase() };
    const made = await initialised({ database });
    server = await start(made.dataDirectory, { database });
    api = new Api(server.httpUrl, made.adminToken);
    board = await api.enroll('board-1');
  });

  afterAll(async () => {
    await server?.close();
    await cluster?.stop();
  });

  it('answers 503, holds what boards send, and goes on', async () => {
    const listener = await Listener.device(board);
    const boot = newBoot();
    const send = (sequence: number) =>
      listener.client.publishAsync(deviceTopic('board-1', 'reported'), JSON.stringify(report(boot, sequence)), {
        qos: 1,
      });
    await send(1);
    await cluster.halt('SIGQUIT');
    const sent = [send(2), send(3)];
    const refused = await api.call('GET', '/api/v1/devices');
    expect([refused.status, refused.body.code]).toEqual([503, 'DATABASE_UNAVAILABLE']);
    expect(refused.headers.get('retry-after')).toBe('5');
    const health = await api.call('GET', '/health');
    expect([health.status, health.body.ok]).toEqual([503, false]);
    await until('messages to wait', async () => {
      const { ingest } = (await api.call('GET', '/health')).body as unknown as { ingest: { waitingBytes: number } };
      return ingest.waitingBytes > 0;
    });
    await cluster.boot();
    await Promise.all(sent);
    expect(await until('the newest report', async () => (await reported()) === 3)).toBe(true);
    expect((await cluster.query(databaseName(), 'select sequence from reports order by 1')).map(Object.values)).toEqual(
      [['1'], ['2'], ['3']],
    );
    await listener.end();
  });

  const reported = async () =>
    (await cluster.query(databaseName(), `select reported->>'sequence' as n from devices`)).map(({ n }) =>
      Number(n),
    )[0];
  const databaseName = () => cluster.newest;
});
