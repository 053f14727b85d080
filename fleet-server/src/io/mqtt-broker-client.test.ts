import { createServer, type Server, type Socket } from 'node:net';
import { deviceTopic } from '@vigie/protocol';
import { Aedes } from 'aedes';
import { connectAsync, type MqttClient } from 'mqtt';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { MqttBrokerClient, type MqttBrokerClientOptions } from './mqtt-broker-client.js';

/** A real broker of another make than the server's own wiring of it: no rights, no logins. */
let aedes: Aedes;
let listener: Server;
let sockets: Socket[] = [];
let url = '';
let client: MqttBrokerClient;
const boards: MqttClient[] = [];
const EVENTS = deviceTopic('board-1', 'events');

beforeEach(async () => {
  aedes = new Aedes();
  await aedes.listen();
  listener = createServer((socket) => {
    sockets.push(socket);
    aedes.handle(socket);
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  url = `mqtt://127.0.0.1:${(listener.address() as { port: number }).port}`;
});

afterEach(async () => {
  await client.close();
  for (const board of boards.splice(0)) await board.endAsync(true);
  await new Promise<void>((resolve) => aedes.close(() => resolve()));
  await new Promise<void>((resolve) => listener.close(() => resolve()));
  sockets = [];
});

function start(options: Partial<MqttBrokerClientOptions>): MqttBrokerClient {
  client = MqttBrokerClient.start({
    ...{ urls: [url], clientId: 'vigie-server', credentials: null, log: pino({ level: 'silent' }) },
    onMessage: async () => {},
    onConnect: async () => {},
    republish: async () => {},
    ...options,
  });
  return client;
}

async function board(id: string): Promise<MqttClient> {
  const connected = await connectAsync(url, { clientId: id, reconnectPeriod: 0 });
  boards.push(connected);
  return connected;
}

/** All connections of the server and its boards end, as when the broker dies. */
function cutAll(): void {
  for (const socket of sockets.splice(0)) socket.destroy();
}

it('acknowledges a message to the broker only once it is committed, and takes it again when it was not', async () => {
  const acknowledged: string[] = [];
  aedes.on('ack', (packet) => acknowledged.push((packet as { topic?: string }).topic ?? ''));
  const taken: string[] = [];
  const commits: (() => void)[] = [];
  start({
    onMessage: (deviceId, topic, payload) => {
      taken.push(`${deviceId} ${topic} ${payload.toString()}`);
      return new Promise((resolve) => {
        commits.push(resolve);
      });
    },
  });
  await vi.waitFor(() => expect(client.connections).toBe(5));
  const publisher = await board('board-1');
  await vi.waitFor(async () => {
    await publisher.publishAsync(EVENTS, 'one', { qos: 1 });
    expect(taken).not.toHaveLength(0);
  });
  expect(taken[0]).toBe(`board-1 ${EVENTS} one`);
  expect(acknowledged).not.toContain(EVENTS);
  const before = taken.length;
  cutAll();
  // The session outlived the connection: the same message comes on the next one.
  await vi.waitFor(() => expect(taken.length).toBeGreaterThan(before), { timeout: 10_000 });
  expect(taken.at(-1)).toBe(`board-1 ${EVENTS} one`);
  for (const commit of commits) commit();
  await vi.waitFor(() => expect(acknowledged).toContain(EVENTS), { timeout: 10_000 });
});

it('publishes all retained state with every connection, what is published in between is dropped', async () => {
  let connections = 0;
  start({
    republish: async () => {
      connections += 1;
      client.publish('vigie/v1/tuf/index', Buffer.from(`${connections}`), { qos: 1, retain: true });
    },
  });
  const seen: string[] = [];
  const listen = async (): Promise<void> => {
    const reader = await board(`reader-${connections}`);
    reader.on('message', (_topic, payload) => seen.push(payload.toString()));
    await reader.subscribeAsync('vigie/v1/#', { qos: 1 });
  };
  await vi.waitFor(() => expect(client.connected).toBe(true));
  await listen();
  await vi.waitFor(() => expect(seen).toContain('1'));
  cutAll();
  await vi.waitFor(() => expect(client.connected).toBe(false));
  client.publish('vigie/v1/tuf/root/9', Buffer.from('lost'), { qos: 1, retain: true });
  await vi.waitFor(() => expect(client.connected).toBe(true), { timeout: 10_000 });
  await listen();
  await vi.waitFor(() => expect(seen).toContain('2'));
  expect(seen).not.toContain('lost');
});

it('asks who is online exactly when the connection that hears it is new, and is told after that', async () => {
  const said: string[] = [];
  start({
    onConnect: async () => void said.push('asked'),
    onMessage: async (deviceId, topic) => {
      if (topic.endsWith('/presence')) said.push(deviceId);
    },
  });
  await vi.waitFor(() => expect(client.connections).toBe(5));
  const publisher = await board('board-1');
  await vi.waitFor(async () => {
    await publisher.publishAsync(deviceTopic('board-1', 'presence'), 'here', { qos: 1, retain: true });
    expect(said).toContain('board-1');
  });
  expect(said[0]).toBe('asked');
  const cut = async (name: string) => {
    const session = Object.values(
      (aedes as unknown as { clients: Record<string, { id: string; conn: Socket }> }).clients,
    );
    session.find(({ id }) => id === `vigie-server-${name}`)?.conn.destroy();
    await vi.waitFor(() => expect(client.connections).toBe(4));
    await vi.waitFor(() => expect(client.connections).toBe(5), { timeout: 10_000 });
  };
  said.length = 0;
  await cut('publish');
  await vi.waitFor(() => expect(client.connected).toBe(true));
  expect(said).not.toContain('asked');
  said.length = 0;
  await cut('state');
  await vi.waitFor(() => expect(said.lastIndexOf('board-1')).toBeGreaterThan(said.indexOf('asked')));
  expect(said.filter((one) => one === 'asked')).toHaveLength(1);
});

it('ends the live session of a device, whose last will then says offline', async () => {
  const presence = deviceTopic('board-1', 'presence');
  const taken: string[] = [];
  start({ onMessage: async (_deviceId, topic, payload) => void taken.push(`${topic} ${payload.toString()}`) });
  const victim = await connectAsync(url, {
    ...{ clientId: 'board-1', reconnectPeriod: 0 },
    will: { topic: presence, payload: Buffer.from('gone'), qos: 1, retain: true },
  });
  boards.push(victim);
  await vi.waitFor(() => expect(client.connections).toBe(5));
  client.disconnect('board-1');
  await vi.waitFor(() => expect(victim.connected).toBe(false), { timeout: 5000 });
  await vi.waitFor(() => expect(taken).toContain(`${presence} gone`), { timeout: 5000 });
});

it('publishes more than fits into one window, in order', async () => {
  start({});
  const seen: number[] = [];
  const reader = await board('reader');
  reader.on('message', (_topic, payload) => seen.push(Number(payload.toString())));
  await reader.subscribeAsync('vigie/v1/chunks/#', { qos: 1 });
  await vi.waitFor(() => expect(client.connected).toBe(true));
  const numbers = Array.from({ length: 1000 }, (_, index) => index);
  for (const index of numbers) client.publish('vigie/v1/chunks/x', Buffer.from(`${index}`), { qos: 1, retain: true });
  await vi.waitFor(() => expect(seen).toHaveLength(1000), { timeout: 10_000 });
  expect(seen).toEqual(numbers);
});

it('takes the next messages while one is being stored, and acknowledges them in the order they came', async () => {
  const acknowledged: string[] = [];
  aedes.on('ack', (packet) => acknowledged.push((packet as { payload?: Buffer }).payload?.toString() ?? ''));
  const storing = new Map<string, () => void>();
  start({
    onMessage: (_deviceId, _topic, payload) =>
      new Promise((resolve) => {
        storing.set(payload.toString(), resolve);
      }),
  });
  await vi.waitFor(() => expect(client.connections).toBe(5));
  const publisher = await board('board-1');
  await vi.waitFor(async () => {
    await publisher.publishAsync(EVENTS, 'ready', { qos: 1 });
    expect(storing.has('ready')).toBe(true);
  });
  storing.get('ready')?.();
  const names = ['a', 'b', 'c'];
  for (const name of names) await publisher.publishAsync(EVENTS, name, { qos: 1 });
  await vi.waitFor(() => expect([...storing.keys()]).toEqual(expect.arrayContaining(names)));
  storing.get('c')?.();
  storing.get('b')?.();
  await new Promise((resolve) => setImmediate(resolve));
  expect(acknowledged.filter((one) => names.includes(one))).toEqual([]);
  for (const resolve of storing.values()) resolve();
  await vi.waitFor(() => expect(acknowledged.filter((one) => names.includes(one))).toEqual(names));
});

it('asks again for a subscription that the broker refused', async () => {
  const asked: string[] = [];
  // Null is how aedes says 128.
  aedes.authorizeSubscribe = (_client, subscription, done) => {
    asked.push(subscription.topic);
    done(null, asked.filter((topic) => topic === subscription.topic).length === 1 ? null : subscription);
  };
  const taken: string[] = [];
  start({ onMessage: async (deviceId, _topic, payload) => void taken.push(`${deviceId} ${payload.toString()}`) });
  await vi.waitFor(() => expect(asked).toContain('vigie/v1/devices/+/events'));
  const publisher = await board('board-1');
  await vi.waitFor(
    async () => {
      await publisher.publishAsync(EVENTS, 'heard', { qos: 1 });
      expect(taken).toContain('board-1 heard');
    },
    { timeout: 10_000 },
  );
});

it('goes to the next node of a cluster when one does not answer', async () => {
  const closed = createServer();
  await new Promise<void>((resolve) => closed.listen(0, '127.0.0.1', resolve));
  const dead = `mqtt://127.0.0.1:${(closed.address() as { port: number }).port}`;
  await new Promise<void>((resolve) => closed.close(() => resolve()));
  start({ urls: [dead, url] });
  await vi.waitFor(() => expect(client.connected).toBe(true), { timeout: 10_000 });
  expect(client.connections).toBe(5);
});
