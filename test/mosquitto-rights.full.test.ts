import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DELIVERY, deviceTopic, type Event, encodeMessage } from '@vigie/protocol';
import { connect, type MqttClient } from 'mqtt';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { enrollBoard } from '../benchmarks/src/rig/board.js';
import { type FleetServer, initialiseServer, startServer } from '../benchmarks/src/rig/fleet-server.js';
import { fixedPorts } from '../benchmarks/src/rig/free-port.js';
import { Rig } from '../benchmarks/src/rig/rig.js';
import { waitFor } from '../benchmarks/src/rig/wait.js';
import { Mosquitto } from './support/mosquitto.js';

const BOOT = '7a9a0c5e-7bd0-4a9e-9d0b-3f1d3a6b3a11';

/** What a board's program keeps of its enrolment. */
interface Credentials {
  deviceId: string;
  privateKey: string;
  certificate: string;
  authorities: string[];
}

describe('Mosquitto as the broker of a fleet', () => {
  const rig = new Rig();
  const mosquitto = new Mosquitto();
  const clients: MqttClient[] = [];
  const credentials = new Map<string, Credentials>();
  let server: FleetServer;

  /** A client with a board's certificate; it says itself what it subscribes to and publishes. */
  function board(id: string, clientId = id): MqttClient {
    const { privateKey, certificate, authorities } = credentials.get(id) as Credentials;
    const client = connect(mosquitto.boardsUrl, {
      ...{ protocolVersion: 4, clientId, reconnectPeriod: 300 },
      ...{ key: privateKey, cert: certificate, ca: authorities.join('\n') },
    });
    client.on('error', () => {});
    clients.push(client);
    return client;
  }

  const connected = (client: MqttClient): Promise<boolean> =>
    waitFor('the board to be connected', () => client.connected, { timeoutMs: 10_000 });

  function event(sequence: number): Event {
    return {
      ...{ bootId: BOOT, sequence, id: `event-${sequence}`, type: 'start', at: new Date().toISOString() },
      ...{ startedAt: new Date().toISOString(), trackId: 1, label: 'person', score: 0.9, box: [0, 0, 1, 1] },
      ...{ frame: { sequence: 1, width: 640, height: 360 }, modelDigest: null, stagesMs: {} },
    } as Event;
  }

  beforeAll(async () => {
    const [http, mqtt] = await fixedPorts(2);
    const { adminToken } = await initialiseServer(rig.path('server'));
    const options = await mosquitto.begin(rig, rig.path('server'));
    server = await startServer(rig, rig.path('server'), adminToken, { http, mqtt }, options);
    for (const id of ['board-1', 'board-2']) {
      await enrollBoard(server.httpsUrl, await server.client.enrollmentToken(), rig.path(id), id);
      credentials.set(id, JSON.parse(readFileSync(join(rig.path(id), 'identity.json'), 'utf8')) as Credentials);
    }
  }, 120_000);

  afterAll(async () => {
    await Promise.all(clients.map((client) => client.endAsync(true)));
    await rig.close();
  });

  it('takes a board’s event to the database and the acknowledgement back, over its death too', async () => {
    const client = board('board-1');
    await connected(client);
    const acks: number[] = [];
    client.on('message', (_topic, payload) =>
      acks.push((JSON.parse(payload.toString()) as { sequence: number }).sequence),
    );
    await client.subscribeAsync(deviceTopic('board-1', 'acks'), { qos: 1 });
    await client.publishAsync(deviceTopic('board-1', 'events'), encodeMessage('events', event(1)), DELIVERY.events);
    await waitFor('the acknowledgement', () => acks.includes(1), { timeoutMs: 10_000 });
    await mosquitto.killAndRestart();
    await connected(client);
    await client.subscribeAsync(deviceTopic('board-1', 'acks'), { qos: 1 });
    // As an agent does: again, until it is acknowledged.
    await waitFor(
      'the acknowledgement after the restart',
      async () => {
        await client.publishAsync(deviceTopic('board-1', 'events'), encodeMessage('events', event(2)), DELIVERY.events);
        return acks.includes(2);
      },
      { timeoutMs: 20_000, everyMs: 500 },
    );
    const stored = (await server.client.events('board-1')).map(({ id }) => id);
    expect(stored.sort()).toEqual(['event-1', 'event-2']);
    await client.endAsync(true);
  }, 60_000);

  it('lets a board touch nothing of another one, whatever client id it gives', async () => {
    const victim = board('board-1');
    await connected(victim);
    const intruder = board('board-2', 'board-1');
    await connected(intruder);
    const heard: string[] = [];
    intruder.on('message', (topic) => heard.push(topic));
    // Mosquitto grants every subscription and delivers by the right to read.
    await intruder.subscribeAsync([
      'vigie/v1/#',
      deviceTopic('board-1', 'desired'),
      deviceTopic('board-1', 'acks'),
      '$SYS/#',
    ]);
    await victim.publishAsync(deviceTopic('board-1', 'events'), encodeMessage('events', event(6)), DELIVERY.events);
    await intruder.publishAsync(deviceTopic('board-1', 'events'), encodeMessage('events', event(7)), DELIVERY.events);
    await intruder.publishAsync(deviceTopic('board-2', 'events'), encodeMessage('events', event(8)), DELIVERY.events);
    const own = deviceTopic('board-2', 'acks');
    await waitFor('the acknowledgement of its own event', () => heard.includes(own), { timeoutMs: 10_000 });
    // Metadata and chunks are for every board.
    const common = (topic: string) => topic.startsWith('vigie/v1/tuf/') || topic.startsWith('vigie/v1/chunks/');
    expect(heard.filter((topic) => topic !== own && !common(topic))).toEqual([]);
    const stored = (await server.client.events('board-1')).map(({ id }) => id);
    expect(stored).toContain('event-6');
    expect(stored).not.toContain('event-7');
    expect((await server.client.events('board-2')).map(({ id }) => id)).toEqual(['event-8']);
    // The victim's session was not taken over.
    expect(victim.connected).toBe(true);
    await Promise.all([victim.endAsync(true), intruder.endAsync(true)]);
  }, 60_000);

  it('shuts a revoked board out: its session ends, and once the list was read again it does not come back', async () => {
    const client = board('board-2');
    await connected(client);
    let ended = 0;
    client.on('close', () => {
      ended += 1;
    });
    await fetch(`${server.httpUrl}/api/v1/devices/board-2/revoke`, {
      method: 'POST',
      headers: { authorization: `Bearer ${server.adminToken}` },
    });
    await waitFor('its session to end', () => ended > 0, { timeoutMs: 10_000 });
    await mosquitto.reload();
    await waitFor('it to be refused', () => ended > 4 && !client.connected, { timeoutMs: 30_000 });
    const other = board('board-1');
    await connected(other);
  }, 60_000);
});
