import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { BrokerThread } from '@vigie/fleet-server/io/built-in-broker/broker-thread';
import { Authority } from '@vigie/fleet-server/io/pki/authority';
import { ServerCertificate } from '@vigie/fleet-server/io/pki/server-certificate';
import { newKeyPair, privateKeyPem } from '@vigie/fleet-server/io/pki/x509-library';
import type { Authenticate, MessageHandler } from '@vigie/fleet-server/ports';
import { deviceTopic } from '@vigie/protocol';
import mqtt, { type MqttClient } from 'mqtt';
import { type Logger, pino } from 'pino';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { temporaryFolder, until } from './until.js';

let folder = '';
let authority: Authority;
let certificate: ServerCertificate;
let broker: BrokerThread | null = null;
const clients: MqttClient[] = [];
const lines: string[] = [];
const log: Logger = pino({ level: 'debug' }, { write: (line: string) => lines.push(line) });

beforeAll(async () => {
  folder = await temporaryFolder();
  authority = await Authority.create(folder, new Date());
  certificate = new ServerCertificate(authority, folder, () => ['127.0.0.1']);
  await certificate.renew(new Date());
  return () => rm(folder, { recursive: true, force: true });
});

afterEach(async () => {
  for (const client of clients.splice(0)) client.end(true);
  await broker?.close();
  broker = null;
  lines.length = 0;
});

interface Behaviour {
  authenticate?: Authenticate;
  onMessage?: MessageHandler;
  onLost?: (error: Error) => void;
  plainPort?: number;
}

async function open({ authenticate, onMessage, onLost, plainPort }: Behaviour) {
  const free = { host: '127.0.0.1', port: 0, maxConnections: 20 };
  const created = await BrokerThread.create({
    plain: { ...free, port: plainPort ?? 0 },
    secure: { ...free, credentials: certificate.credentials, authority: authority.certificate },
    authenticate:
      authenticate ??
      (async ({ certificate: peer }) => (peer === null ? null : { kind: 'device', deviceId: peer.deviceId })),
    onMessage: onMessage ?? (async () => {}),
    onLost:
      onLost ??
      ((error) => {
        throw error;
      }),
    log,
  });
  broker = created;
  return created;
}

async function board(port: number, deviceId: string): Promise<MqttClient> {
  const keys = await newKeyPair();
  const { pem } = await authority.issueDevice(deviceId, keys.publicKey, 1, new Date());
  const key = await privateKeyPem(keys.privateKey);
  const tls = { ca: authority.certificate, cert: pem, key, clientId: deviceId, reconnectPeriod: 0 };
  const client = mqtt.connect(`mqtts://127.0.0.1:${port}`, tls);
  clients.push(client);
  await event(client, 'connect');
  return client;
}

/** Unlike `once`, not ended by an error of the client. */
const event = (client: MqttClient, name: 'connect' | 'close') =>
  new Promise<void>((resolve) => client.once(name, () => resolve()));

function operator(port: number): MqttClient {
  const client = mqtt.connect(`mqtt://127.0.0.1:${port}`, { username: 'token', password: 'x', reconnectPeriod: 0 });
  clients.push(client);
  client.on('error', () => {});
  return client;
}

describe('the broker on its thread', () => {
  it('keeps the order and the bytes of what boards send, and counts them', async () => {
    const taken: string[] = [];
    const created = await open({
      onMessage: async (deviceId, topic, payload) => {
        taken.push(`${deviceId} ${topic.split('/').at(-1)} ${payload}`);
      },
    });
    const { secure } = await created.listen();
    const client = await board(secure, 'board-1');
    const count = 500;
    for (let index = 0; index < count; index += 1) {
      client.publish(deviceTopic('board-1', 'telemetry'), `${index} ${'x'.repeat(index)}`, { qos: 0 });
    }
    await until('all messages', () => taken.length === count);
    expect(taken).toEqual(
      Array.from({ length: count }, (_, index) => `board-1 telemetry ${index} ${'x'.repeat(index)}`),
    );
    await until('the board to be counted', () => created.connections === 1);
    client.end();
    await until('the board to be gone', () => created.connections === 0);
  });

  it('gives a board what was published before it came, after it, and cuts it when told', async () => {
    const created = await open({});
    created.publish(deviceTopic('board-2', 'desired'), Buffer.from('kept'), { qos: 1, retain: true });
    const { secure } = await created.listen();
    const client = await board(secure, 'board-2');
    const heard: string[] = [];
    client.on('message', (topic, payload) => heard.push(`${topic.split('/').at(-1)} ${payload}`));
    await client.subscribeAsync([deviceTopic('board-2', 'desired'), deviceTopic('board-2', 'acks')]);
    for (let index = 0; index < 50; index += 1) {
      created.publish(deviceTopic('board-2', 'acks'), Buffer.from(String(index)), { qos: 1, retain: false });
    }
    created.publish(deviceTopic('board-3', 'acks'), Buffer.from('not mine'), { qos: 1, retain: false });
    await until('what was published', () => heard.length === 51);
    expect(heard).toEqual(['desired kept', ...Array.from({ length: 50 }, (_, index) => `acks ${index}`)]);
    const closed = event(client, 'close');
    created.disconnect('board-2');
    await closed;
  });

  it("ends an operator's connection with its token, also one that ended before the connection was in", async () => {
    const ends: (() => void)[] = [];
    let released = 0;
    let endAtOnce = false;
    const created = await open({
      authenticate: async () => ({
        kind: 'operator',
        hold: (end) => {
          ends.push(end);
          if (endAtOnce) end();
          return () => {
            released += 1;
          };
        },
      }),
    });
    const { plain } = await created.listen();
    const first = operator(plain);
    await event(first, 'connect');
    const closed = event(first, 'close');
    ends[0]();
    await closed;
    await until('the first connection to be given back', () => released === 1);
    endAtOnce = true;
    const second = operator(plain);
    await event(second, 'close');
    await until('the second connection to be given back', () => released === 2);
    expect(ends).toHaveLength(2);
  });

  it('refuses whom it may not let in, and a login that could not be judged', async () => {
    const verdicts: Authenticate[] = [
      async () => null,
      async () => {
        throw new Error('no database');
      },
    ];
    const created = await open({ authenticate: (credentials) => verdicts.shift()!(credentials) });
    const { plain } = await created.listen();
    const codes: unknown[] = [];
    for (let login = 0; login < 2; login += 1) {
      const client = operator(plain);
      client.on('error', (error) => codes.push((error as { code?: unknown }).code));
      await event(client, 'close');
    }
    await until('both refusals', () => codes.length === 2);
    expect(codes.toSorted()).toEqual([3, 4]);
    await until('the line in the log', () =>
      lines.some((line) => line.includes('a login could not be checked') && line.includes('no database')),
    );
  });

  it('says which port is taken, as a listener of this thread would', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const created = await open({ plainPort: (other.address() as { port: number }).port });
    await expect(created.listen()).rejects.toMatchObject({ code: 'EADDRINUSE' });
    other.close();
  });

  it('tells that its thread died, instead of going on without it', async () => {
    let lost: Error | null = null;
    const created = await open({
      onLost: (error) => {
        lost = error;
      },
    });
    const { worker } = created as unknown as { worker: { terminate(): Promise<number> } };
    await worker.terminate();
    await until('the word of its death', () => lost !== null);
    expect(String(lost)).toContain("the broker's thread ended");
    // What comes now is dropped, not thrown.
    created.publish('vigie/v1/x', Buffer.from('late'), { qos: 0, retain: false });
    await created.close();
  });
});
