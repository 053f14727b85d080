import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import type { RunningServer } from '@vigie/fleet-server/main';
import { chunkTopic, deviceTopic, type EnrollResponse, snapshotTopic, tufTopic } from '@vigie/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  Api,
  dataFolder,
  dropTemplate,
  Listener,
  runCli,
  start,
  temporaryFolder,
  tlsOf,
  until,
} from './server-fixture.js';

/** A real Mosquitto with the configuration that `vigie-server broker-config` writes. */
describe('Mosquitto as the broker of a fleet', () => {
  let directory: string;
  let out: string;
  let server: RunningServer;
  let api: Api;
  let one: EnrollResponse;
  let two: EnrollResponse;
  let broker: ChildProcess;
  let url: string;
  let log = '';

  const configure = async (...args: string[]) => {
    const { code, stderr } = await runCli('server-cli.js', [
      'broker-config',
      '--data',
      directory,
      '--out',
      out,
      ...args,
    ]);
    expect([code, stderr]).toEqual([0, '']);
  };
  const startBroker = async () => {
    broker = spawn('mosquitto', ['-c', join(out, 'mosquitto.conf'), '-v'], { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [broker.stdout, broker.stderr]) stream?.on('data', (bytes) => (log += bytes));
    const from = log.length;
    await until('mosquitto to run', () => {
      if (broker.exitCode !== null) throw new Error(`mosquitto ended: ${log}`);
      return log.slice(from).includes('running');
    });
  };
  const board = (enrolled: EnrollResponse, options: object = {}) =>
    Listener.connect(url, { clientId: enrolled.deviceId, ...tlsOf(enrolled), ...options });
  const refused = (connecting: Promise<Listener>) =>
    connecting.then(
      async (listener) => {
        await listener.end();
        return false;
      },
      () => true,
    );

  beforeAll(async () => {
    const made = await dataFolder();
    directory = made.dataDirectory;
    server = await start(directory);
    api = new Api(server.httpUrl, made.adminToken);
    [one, two] = [await api.enroll('board-1'), await api.enroll('board-2')];
    out = join(await temporaryFolder(), 'broker');
    const port = await freePort();
    url = `mqtts://127.0.0.1:${port}`;
    await configure('--port', String(port), '--server-port', String(await freePort()));
    // Started by root Mosquitto would become another user, who may not read this folder.
    if (process.getuid?.() === 0) await appendFile(join(out, 'mosquitto.conf'), '\nuser root\n');
    await startBroker();
  });

  afterAll(async () => {
    broker?.kill('SIGKILL');
    await server?.close();
    await rm(join(directory, '..'), { recursive: true, force: true });
    await rm(join(out, '..'), { recursive: true, force: true });
    await dropTemplate();
  });

  const serverClient = async () => {
    const file = (name: string) => readFile(join(out, name), 'utf8');
    const [cert, key, ca] = await Promise.all(['vigie-server.pem', 'vigie-server.key', 'authority.pem'].map(file));
    return Listener.connect(url, { clientId: 'anything', cert, key, ca });
  };

  it('lets a device touch what the wire contract lists and nothing else', async () => {
    const fleet = await serverClient();
    await fleet.client.subscribeAsync('vigie/v1/#', { qos: 1 });
    const device = await board(one);
    const may = [
      ...(['reported', 'presence', 'telemetry', 'events', 'replies'] as const).map((kind) =>
        deviceTopic('board-1', kind),
      ),
      snapshotTopic('board-1', 'event-1'),
    ];
    const mayNot = [
      ...(['desired', 'commands', 'acks'] as const).map((kind) => deviceTopic('board-1', kind)),
      ...(['desired', 'reported', 'presence', 'events'] as const).map((kind) => deviceTopic('board-2', kind)),
      snapshotTopic('board-2', 'event-1'),
      'vigie/v1/devices/board-1/more',
      'vigie/v1/devices/board-1/snapshots/a/b',
      tufTopic('root', 1),
      chunkTopic('a'.repeat(64)),
      'elsewhere',
    ];
    for (const topic of [...mayNot, ...may]) device.client.publish(topic, 'from the board', { qos: 1 });
    await until('what may be published', () => may.every((topic) => fleet.received.has(topic)));
    expect([...fleet.received.keys()].sort()).toEqual([...may].sort());

    // It may ask for anything, and hears only what is its own.
    await device.client.subscribeAsync(['#', 'vigie/v1/devices/+/desired', deviceTopic('board-2', 'desired')], {
      qos: 1,
    });
    const hears = [
      ...(['desired', 'commands', 'acks'] as const).map((kind) => deviceTopic('board-1', kind)),
      tufTopic('root', 1),
      tufTopic('timestamp', null),
      'vigie/v1/tuf/index',
      chunkTopic('b'.repeat(64)),
    ];
    const others = [
      ...(['desired', 'commands', 'acks', 'reported'] as const).map((kind) => deviceTopic('board-2', kind)),
      deviceTopic('board-1', 'reported'),
      'vigie/v1/elsewhere',
    ];
    for (const topic of [...others, ...hears]) await fleet.client.publishAsync(topic, 'from the server', { qos: 1 });
    await until('what may be heard', () => hears.every((topic) => device.received.has(topic)));
    expect([...device.received.keys()].sort()).toEqual([...hears].sort());
    await device.end();
    await fleet.end();
  });

  it('takes nobody without a certificate, and nobody under the name of another', async () => {
    expect(await refused(Listener.connect(url, { clientId: 'x', ca: server.authority }))).toBe(true);
    expect(await refused(Listener.connect(url.replace('mqtts', 'mqtt'), { clientId: 'x', connectTimeout: 3000 }))).toBe(
      true,
    );
    const first = await board(one);
    let cut = false;
    first.client.once('close', () => {
      cut = true;
    });
    // The client id and user name of another board: both are put aside for the certificate's name.
    const impostor = await board(two, { clientId: 'board-1', username: 'board-1', password: 'x' });
    const fleet = await serverClient();
    await fleet.client.subscribeAsync('vigie/v1/devices/+/events', { qos: 1 });
    impostor.client.publish(deviceTopic('board-1', 'events'), 'forged', { qos: 1 });
    await impostor.client.publishAsync(deviceTopic('board-2', 'events'), 'own', { qos: 1 });
    await until('its own event', () => fleet.received.has(deviceTopic('board-2', 'events')));
    expect(fleet.received.has(deviceTopic('board-1', 'events'))).toBe(false);
    expect(cut).toBe(false);
    for (const listener of [impostor, first, fleet]) await listener.end();
  });

  it('refuses a revoked certificate once it has the new list', async () => {
    await (await board(two)).end();
    await api.call('POST', '/api/v1/devices/board-2/revoke');
    await configure('--revoked-only');
    const how = await reload();
    expect(await refused(board(two))).toBe(true);
    await (await board(one)).end();
    process.stdout.write(`Mosquitto took the new list by ${how}\n`);
  });

  /** By SIGHUP if this version reads the list anew then, else by a restart. */
  async function reload(): Promise<string> {
    const from = log.length;
    broker.kill('SIGHUP');
    await until('the reload', () => log.slice(from).includes('Reloading config'));
    if (await refused(board(two))) return 'SIGHUP';
    broker.kill('SIGTERM');
    await once(broker, 'exit');
    await startBroker();
    return 'a restart';
  }
});

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer().once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as { port: number };
      probe.close(() => resolve(port));
    });
  });
}
