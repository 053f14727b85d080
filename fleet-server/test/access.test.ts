import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { connect } from 'node:tls';
import type { RunningServer } from '@vigie/fleet-server/main';
import {
  chunkTopic,
  deviceTopic,
  type EnrollResponse,
  encodeMessage,
  snapshotTopic,
  TUF_INDEX_TOPIC,
  tufTopic,
} from '@vigie/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  Api,
  dataFolder,
  dropTemplate,
  EXTERNAL_ENGINES,
  Listener,
  newBoot,
  report,
  start,
  tlsOf,
  until,
} from './server-fixture.js';

let directory: string;
let server: RunningServer;
let api: Api;
let one: EnrollResponse;
let two: EnrollResponse;

beforeAll(async () => {
  const made = await dataFolder();
  directory = made.dataDirectory;
  server = await start(directory);
  api = new Api(server.httpUrl, made.adminToken);
  one = await api.enroll('board-1');
  two = await api.enroll('board-2');
});

afterAll(async () => {
  await server?.close();
  await rm(join(directory, '..'), { recursive: true, force: true });
  await dropTemplate();
});

const refusedLogin = (url: string, options: object) =>
  Listener.connect(url, { connectTimeout: 5000, ...options }).then(
    async (listener) => {
      await listener.end();
      return 'let in';
    },
    (error: { code?: number | string; message: string }) => error.code ?? error.message,
  );

describe.skipIf(EXTERNAL_ENGINES)('logins on the plain listener (the built-in broker)', () => {
  const login = (options: object) => refusedLogin(server.mqttUrl, options);

  it('are for operators with a token and nobody else', async () => {
    expect(await login({ clientId: 'x' })).toBe(4);
    expect(await login({ clientId: 'x', username: 'operator', password: 'wrong' })).toBe(4);
    expect(await login({ clientId: 'board-1', username: 'operator', password: api.token! })).toBe(4);
    expect(await login({ clientId: 'board-1' })).toBe(4);
    expect(await login({ clientId: 'board-1', username: 'board-1', password: 'any' })).toBe(4);
    expect(await login({ clientId: 'desk', username: 'operator', password: api.token! })).toBe('let in');
  });
});

describe.skipIf(EXTERNAL_ENGINES)('logins of boards (the built-in broker)', () => {
  const login = (options: object) => refusedLogin(server.mqttsUrl, options);

  it('need a certificate whose name is the client id', async () => {
    expect(await login({ clientId: 'board-1', ...tlsOf(one) })).toBe('let in');
    expect(await login({ clientId: 'board-2', ...tlsOf(one) })).toBe(4);
    expect(await login({ clientId: '', ...tlsOf(one) })).toBe(4);
    expect(await login({ clientId: 'board-2', username: 'operator', password: api.token!, ...tlsOf(one) })).toBe(4);
    expect(await login({ clientId: 'board-1', ca: server.authority })).toMatch(/ALERT|ECONNRESET/);
  });

  it('refuse a last will elsewhere than on a presence topic', async () => {
    const will = { topic: deviceTopic('board-1', 'desired'), payload: Buffer.from('x'), qos: 1 as const, retain: true };
    expect(await login({ clientId: 'board-1', ...tlsOf(one), will, connectTimeout: 2000 })).not.toBe('let in');
  });
});

describe.skipIf(EXTERNAL_ENGINES)('what a device may do (the built-in broker)', () => {
  it('subscribes to its own topics and the shared ones, and to nothing else', async () => {
    const board = await Listener.device(one);
    const sha = 'a'.repeat(64);
    const granted = async (topic: string) => {
      const answers = await board.client.subscribeAsync(topic, { qos: 1 }).catch(() => [{ qos: 128 }]);
      return answers[0].qos !== 128;
    };
    for (const topic of [
      deviceTopic('board-1', 'desired'),
      deviceTopic('board-1', 'acks'),
      deviceTopic('board-1', 'commands'),
      TUF_INDEX_TOPIC,
      tufTopic('root', 1),
      tufTopic('timestamp', null),
      chunkTopic(sha),
    ]) {
      expect(await granted(topic), topic).toBe(true);
    }
    for (const topic of [
      '#',
      'vigie/#',
      'vigie/v1/#',
      'vigie/v1/devices/+/desired',
      'vigie/v1/devices/board-1/#',
      deviceTopic('board-2', 'desired'),
      deviceTopic('board-1', 'reported'),
      deviceTopic('board-2', 'events'),
      '$SYS/#',
      '+/+/+/+/+',
      `$share/x/${deviceTopic('board-1', 'desired')}`,
    ]) {
      expect(await granted(topic), topic).toBe(false);
    }
    await board.end();
  });

  it('is cut when it publishes where it may not', async () => {
    const forbidden = [
      deviceTopic('board-1', 'desired'),
      deviceTopic('board-1', 'acks'),
      deviceTopic('board-2', 'reported'),
      snapshotTopic('board-2', 'e'),
      TUF_INDEX_TOPIC,
      chunkTopic('a'.repeat(64)),
      'elsewhere',
      '$SYS/x',
    ];
    for (const topic of forbidden) {
      const board = await Listener.device(one);
      const closed = board.closed();
      board.client.publish(topic, 'x', { qos: 1, retain: true });
      await closed;
    }
    const operator = await Listener.connect(server.mqttUrl, {
      clientId: 'desk',
      username: 'operator',
      password: api.token!,
    });
    await operator.client.subscribeAsync('vigie/v1/#', { qos: 1 });
    await until('retained metadata', () => operator.received.has(TUF_INDEX_TOPIC));
    expect(
      [...operator.received].filter(
        ([topic, payloads]) => forbidden.includes(topic) && topic !== TUF_INDEX_TOPIC && payloads.length > 0,
      ),
    ).toEqual([]);
    await operator.end();
  });

  it('cannot make the broker keep what is not meant to be kept', async () => {
    const board = await Listener.device(one);
    await board.client.publishAsync(deviceTopic('board-1', 'events'), 'x', { qos: 1, retain: true });
    await board.client.publishAsync(
      deviceTopic('board-1', 'reported'),
      encodeMessage('reported', report(newBoot(), 1)),
      { qos: 1, retain: true },
    );
    const operator = await Listener.connect(server.mqttUrl, {
      clientId: 'desk',
      username: 'operator',
      password: api.token!,
    });
    await operator.client.subscribeAsync('vigie/v1/#', { qos: 1 });
    await until('the retained report', () => operator.received.has(deviceTopic('board-1', 'reported')));
    expect(operator.received.has(deviceTopic('board-1', 'events'))).toBe(false);
    await operator.end();
    await board.end();
  });

  it('is cut for a packet that is too large, before the broker collects it', async () => {
    const board = await Listener.device(one);
    const closed = board.closed();
    board.client.publish(deviceTopic('board-1', 'events'), Buffer.alloc(200_000), { qos: 1 });
    await closed;
    const { port } = new URL(server.mqttsUrl);
    const socket = connect({ port: Number(port), host: '127.0.0.1', ...tlsOf(one) });
    socket.on('error', () => undefined);
    const ended = new Promise((resolve) => socket.once('close', resolve));
    socket.write(Buffer.from([0x10, 0xff, 0xff, 0xff, 0x7f, 0x00, 0x04]));
    await ended;
    expect((await api.call('GET', '/health')).status).toBe(200);
  });
});

describe.skipIf(EXTERNAL_ENGINES)('operators on the broker (the built-in broker)', () => {
  it('read everything below vigie/v1 and write nothing', async () => {
    const operator = await Listener.connect(server.mqttUrl, {
      clientId: 'desk',
      username: 'operator',
      password: api.token!,
    });
    await operator.client.subscribeAsync('vigie/v1/#', { qos: 1 });
    await until('the index', () => operator.received.has(TUF_INDEX_TOPIC));
    const outside = await operator.client.subscribeAsync('#', { qos: 1 }).catch(() => [{ qos: 128 }]);
    expect(outside[0].qos).toBe(128);
    const closed = operator.closed();
    operator.client.publish(deviceTopic('board-1', 'desired'), 'x', { qos: 1 });
    await closed;
  });
});

describe('enrolment', () => {
  const enroll = (token: string, deviceId: string) => api.requestEnrollment(token, deviceId);
  const newToken = async () =>
    (await api.call('POST', '/api/v1/enrollment-tokens', { expiresInSeconds: 60 })).body.token as string;

  it('spends a token once, however many ask at the same time', async () => {
    const token = await newToken();
    const answers = await Promise.all(Array.from({ length: 8 }, (_, index) => enroll(token, `racer-${index}`)));
    expect(answers.map((answer) => answer.status).sort()).toEqual([200, 403, 403, 403, 403, 403, 403, 403]);
    expect((await enroll(token, 'racer-9')).body.code).toBe('ENROLLMENT_TOKEN_INVALID');
    expect((await enroll('vge_0000000000000000000000000000', 'racer-9')).body.code).toBe('ENROLLMENT_TOKEN_INVALID');
  });

  it('refuses ids that are no topic level, and the reserved one', async () => {
    const token = await newToken();
    for (const id of ['', 'a b', 'a.b', 'a/b', '+', '#', '-x', 'x'.repeat(65)])
      expect((await enroll(token, id)).body.code, id).toBe('REQUEST_INVALID');
    for (const id of ['operator', 'vigie-server'])
      expect((await enroll(token, id)).body.code, id).toBe('DEVICE_ID_RESERVED');
    expect((await enroll(token, 'board-3')).status).toBe(200);
  });

  it('gives a device that enrols again a new certificate, revokes the old one and ends its session', async () => {
    const board = await Listener.device(two);
    const closed = board.closed();
    const again = await api.enroll('board-2');
    await closed;
    // An external broker has to be given the new list first (docs/mosquitto.md).
    if (!EXTERNAL_ENGINES) expect(await refusedLogin(server.mqttsUrl, { clientId: 'board-2', ...tlsOf(two) })).toBe(4);
    const back = await Listener.device(again);
    await back.end();
    expect((await api.call('GET', '/api/v1/devices')).body.items).toHaveLength(4);
  });
});
