import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Identity } from '@vigie/agent/io/identity';
import type { RunningServer } from '@vigie/fleet-server/main';
import { DELIVERY, deviceTopic, encodeMessage } from '@vigie/protocol';
import { connect, type MqttClient } from 'mqtt';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { QUICK_TIMING } from '../benchmarks/src/fleet/sim/behaviour.js';
import { boardIds, enrollBoards } from '../benchmarks/src/fleet/sim/enroll-boards.js';
import { SimulatedFleet } from '../benchmarks/src/fleet/sim/simulated-fleet.js';
import { fixedPorts } from '../benchmarks/src/rig/free-port.js';
import { Rig } from '../benchmarks/src/rig/rig.js';
import {
  Api,
  dataFolder,
  dropTemplate,
  newBoot,
  report,
  start,
  until,
  zooPackage,
} from '../fleet-server/test/server-fixture.js';
import { Balancer } from './support/balancer.js';
import { NATS_SERVER, NatsCluster, type NatsNodeName } from './support/nats.js';

const BOARDS = 50;
const HARDWARE_CLASS = 'rpi5-8g';
const [SPARE, ROGUE, ...FLEET] = [...boardIds(2, 'other'), ...boardIds(BOARDS)];

interface Rollout {
  id: number;
  state: string;
  reason: object | null;
  totals: Record<string, number>;
}

function withoutNats(): string | null {
  try {
    execFileSync(NATS_SERVER, ['--version']);
    return null;
  } catch {
    return 'no nats-server: apt-get install nats-server';
  }
}

const missing = withoutNats();

describe('a cluster of three NATS nodes as the broker of a fleet', () => {
  const rig = new Rig();
  const clients: MqttClient[] = [];
  const identities = new Map<string, Identity>();
  let dataDirectory = '';
  let cluster: NatsCluster;
  let balancer: Balancer;
  let server: RunningServer;
  let api: Api;
  let fleet: SimulatedFleet | null = null;
  const problems: string[] = [];

  /** A client with a board's certificate; it says itself who it is and what it does. */
  async function client(id: string, node: NatsNodeName, clientId = id): Promise<MqttClient> {
    const { privateKey, certificate, authorities } = identities.get(id) as Identity;
    const one = connect(cluster.url(node), {
      ...{ protocolVersion: 4, clientId, reconnectPeriod: 300, reconnectOnConnackError: true, resubscribe: false },
      ...{ key: privateKey, cert: certificate, ca: authorities.join('\n') },
    });
    clients.push(one);
    await until(`${id} to be connected`, () => one.connected);
    return one;
  }

  /** The broker's answer to a subscription: 1, or 128 for no. */
  const granted = (one: MqttClient, topic: string): Promise<number | undefined> =>
    new Promise((resolve) => {
      one.subscribe(topic, { qos: 1 }, (_error, _granted, packet) => resolve(packet?.granted[0] as number | undefined));
    });

  beforeAll(async () => {
    if (missing !== null) return;
    const made = await dataFolder();
    dataDirectory = made.dataDirectory;
    cluster = await NatsCluster.start(rig, dataDirectory);
    const [port] = await fixedPorts(1);
    balancer = await Balancer.listen(port, [cluster.port('n1'), cluster.port('n2'), cluster.port('n3')]);
    const [url, ...alternatives] = [cluster.url('n2'), cluster.url('n1'), cluster.url('n3')];
    server = await start(dataDirectory, {
      mqtt: { broker: { url, alternatives, clientId: cluster.clientId }, port: 0 },
      mqtts: { publicUrl: `mqtts://localhost:${port}`, port: 0 },
    });
    api = new Api(server.httpUrl, made.adminToken);
    const enrolled = await enrollBoards({
      ...{ httpsUrl: server.httpsUrl, authority: server.authority, deviceIds: [...FLEET, SPARE, ROGUE] },
      token: async () => (await api.call('POST', '/api/v1/enrollment-tokens', {})).body.token,
      hardwareClass: () => HARDWARE_CLASS,
    });
    for (const identity of enrolled) identities.set(identity.deviceId, identity);
    await cluster.admit([...identities.keys()]);
    await until('the server to be connected', async () => (await health()) === 'connected', 60_000);
  }, 240_000);

  afterAll(async () => {
    await fleet?.stop();
    await Promise.all(clients.map((one) => one.endAsync(true)));
    await server?.close();
    await balancer?.close();
    await rig.close();
    if (dataDirectory !== '') rmSync(join(dataDirectory, '..'), { recursive: true, force: true });
    await dropTemplate();
  }, 60_000);

  const health = async () => ((await api.call('GET', '/health')).body as { broker?: string }).broker;

  it('lets a board touch its own topics and nothing else', async ({ skip }) => {
    if (missing !== null) skip(missing);
    const victim = await client(SPARE, 'n1');
    const rogue = await client(ROGUE, 'n3');
    const own = (['desired', 'commands', 'acks'] as const).map((kind) => deviceTopic(ROGUE, kind));
    for (const topic of [...own, 'vigie/v1/tuf/index', `vigie/v1/chunks/${'a'.repeat(64)}`])
      await until(`${topic} to be granted`, async () => (await granted(rogue, topic)) === 1);
    const foreign = (['desired', 'commands', 'acks', 'reported'] as const).map((kind) => deviceTopic(SPARE, kind));
    const inner = ['$MQTT/sub/#', '$MQTT/#', '$JS/#', '$SYS/#'];
    for (const topic of [...foreign, ...inner, '#', 'vigie/v1/#', 'vigie/v1/devices/+/desired'])
      expect([topic, await granted(rogue, topic)]).toEqual([topic, 128]);
    const heard: string[] = [];
    rogue.on('message', (topic) => heard.push(topic));
    const bytes = (id: string, sequence: number) =>
      encodeMessage('reported', report(newBoot(), sequence, { error: { code: 'DISK_FULL', message: id } }));
    await rogue.publishAsync(deviceTopic(SPARE, 'reported'), bytes(ROGUE, 9), DELIVERY.reported);
    await rogue.publishAsync(deviceTopic(SPARE, 'desired'), 'forged', DELIVERY.desired);
    await victim.publishAsync(deviceTopic(SPARE, 'reported'), bytes(SPARE, 1), DELIVERY.reported);
    await rogue.publishAsync(deviceTopic(ROGUE, 'reported'), bytes(ROGUE, 1), DELIVERY.reported);
    for (const id of [SPARE, ROGUE]) {
      const said = await until(`the report of ${id}`, async () => {
        const { body } = await api.call('GET', `/api/v1/devices/${id}`);
        return (body as { reported?: { error: { message: string } } }).reported?.error.message;
      });
      expect(said).toBe(id);
    }
    await until('its own acknowledgement', () => heard.includes(deviceTopic(ROGUE, 'acks')));
    expect(heard.filter((topic) => topic.includes(SPARE))).toEqual([]);
    await Promise.all([victim.endAsync(true), rogue.endAsync(true)]);
  }, 90_000);

  it('shuts a board out as soon as the list without it was read again, and lets it in again', async ({ skip }) => {
    if (missing !== null) skip(missing);
    const rogue = await client(ROGUE, 'n3');
    await cluster.admit([...FLEET, SPARE]);
    await until('its session to end', () => !rogue.connected);
    const refused = await new Promise<string>((resolve) => rogue.once('error', ({ message }) => resolve(message)));
    expect(refused).toContain('Not authorized');
    expect(rogue.connected).toBe(false);
    expect(cluster.alive).toHaveLength(3);
    await cluster.admit([...FLEET, SPARE, ROGUE]);
    await until('it to be back', () => rogue.connected);
    await rogue.endAsync(true);
  }, 90_000);

  /** Publishes a release and brings the fleet to it; `midway` happens when some boards run it and others do not. */
  async function rollOut(which: 'int8' | 'fp32', midway: () => Promise<string>): Promise<void> {
    const boards = fleet as SimulatedFleet;
    const { bytes, digest, name, version } = await zooPackage(which);
    expect((await api.call('POST', '/api/v1/releases', bytes)).status).toBe(201);
    const beganAt = performance.now();
    const seconds = () => `${((performance.now() - beganAt) / 1000).toFixed(1)} s`;
    const created = await api.call('POST', '/api/v1/rollouts?start=true', {
      release: { name, version },
      selector: { hardwareClasses: [HARDWARE_CLASS], devices: FLEET },
      waves: [
        { name: 'canary', size: { count: 5 }, soakSeconds: 0, successShare: 1, errors: { count: 0 } },
        { name: 'half', size: { share: 0.5 }, soakSeconds: 0 },
        { name: 'all', size: { share: 1 }, soakSeconds: 0 },
      ],
    });
    expect([created.status, created.body]).toEqual([201, created.body]);
    const { id } = created.body as unknown as Rollout;
    const running = () => boards.tally().running[digest] ?? 0;
    try {
      await until('half of the boards to be told', () => running() >= 8, 90_000);
      const cutAt = running();
      expect(cutAt).toBeLessThan(BOARDS);
      const said = await midway();
      process.stdout.write(`NATS: ${said} after ${seconds()}, when ${cutAt} of ${BOARDS} boards ran ${version}\n`);
      const done = await until(
        'the rollout to end on all boards',
        async () => {
          const rollout = (await api.call('GET', `/api/v1/rollouts/${id}`)).body as unknown as Rollout;
          // A board whose connection broke in the last moment is told after the end, for the rollout follows.
          const late = rollout.state === 'succeeded' && rollout.totals.succeeded !== BOARDS;
          return rollout.state === 'running' || late ? null : rollout;
        },
        150_000,
      );
      process.stdout.write(`NATS: ${BOARDS} boards in sync after ${seconds()}\n`);
      expect([done.state, done.totals], JSON.stringify(done)).toEqual(['succeeded', { succeeded: BOARDS }]);
      expect(boards.tally().running).toEqual({ [digest]: BOARDS });
    } catch (error) {
      process.stderr.write(await cluster.state());
      throw new Error(
        `${(error as Error).message}: ${JSON.stringify(boards.tally())} ${problems.slice(-3).join('; ')} ${rig.logTails(15)}`,
      );
    }
  }

  it(`brings ${BOARDS} boards to a release by proof, although a node dies in the middle`, async ({ skip }) => {
    if (missing !== null) skip(missing);
    fleet = new SimulatedFleet({
      identities: FLEET.map((id) => identities.get(id) as Identity),
      timing: { ...QUICK_TIMING, telemetryMs: 5000, messageMs: 30_000, trialMs: 1000 },
      startsPerSecond: 10,
      onProblem: (id, message) => problems.push(`${id} ${message}`),
    });
    await fleet.start();
    await fleet.connected(90_000);
    await rollOut('int8', async () => {
      // The one that the server is on.
      await cluster.kill('n2');
      return 'n2 was killed';
    });
    const { counters, hashesPerBoard, signaturesPerBoard } = fleet.tally();
    expect(counters).toMatchObject({ committed: BOARDS, failed: 0, rolledBack: 0, desiredRefused: 0 });
    expect(signaturesPerBoard.least).toBeGreaterThanOrEqual(6);
    expect(hashesPerBoard.least).toBeGreaterThan(3);
    expect(await health()).toBe('connected');
  }, 600_000);

  it('goes on when the node is back and the one that leads the cluster dies', async ({ skip }) => {
    if (missing !== null) skip(missing);
    await cluster.boot('n2');
    await rollOut('fp32', async () => {
      const leader = await cluster.leader();
      await cluster.kill(leader);
      return `the leader ${leader} was killed`;
    });
    const { counters } = (fleet as SimulatedFleet).tally();
    expect(counters).toMatchObject({ committed: 2 * BOARDS, failed: 0, rolledBack: 0, desiredRefused: 0 });
    expect(await health()).toBe('connected');
  }, 600_000);
});
