import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { RunningServer } from '@vigie/fleet-server/main';
import { deviceTopic, type EnrollResponse, encodeMessage, snapshotTopic } from '@vigie/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  Api,
  dataFolder,
  dropTemplate,
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
let enrolled: EnrollResponse;
let int8: Awaited<ReturnType<typeof zooPackage>>;

beforeAll(async () => {
  const made = await dataFolder();
  directory = made.dataDirectory;
  server = await start(directory);
  api = new Api(server.httpUrl, made.adminToken);
  enrolled = await api.enroll('board-1');
  int8 = await zooPackage('int8');
  await api.call('POST', '/api/v1/releases', int8.bytes);
  const body = { devices: ['board-1'], name: int8.name, version: int8.version };
  expect((await api.call('POST', '/api/v1/assignments', body)).status).toBe(202);
});

afterAll(async () => {
  await server?.close();
  await rm(join(directory, '..'), { recursive: true, force: true });
  await dropTemplate();
});

describe('what boards say', () => {
  it('stores what a board says, acknowledges each message and shows it', async () => {
    const bootId = newBoot();
    const will = {
      topic: deviceTopic('board-1', 'presence'),
      payload: encodeMessage('presence', { bootId, online: false }),
      qos: 1 as const,
      retain: true,
    };
    const board = await Listener.device(enrolled, { will });
    await board.client.subscribeAsync(deviceTopic('board-1', 'acks'), { qos: 1 });
    await board.client.publishAsync(will.topic, encodeMessage('presence', { bootId, online: true }), {
      qos: 1,
      retain: true,
    });
    const release = { name: int8.name, version: int8.version, digest: int8.digest };
    const running = (framesRun: number) => ({
      active: { release, framesRun, since: new Date().toISOString() },
      generation: 1,
      phase: 'COMMITTED' as const,
    });
    const publishReport = (sequence: number, framesRun: number) =>
      board.client.publishAsync(
        deviceTopic('board-1', 'reported'),
        encodeMessage('reported', report(bootId, sequence, running(framesRun))),
        { qos: 1, retain: true },
      );
    const show = async () =>
      (await api.call('GET', '/api/v1/devices/board-1')).body as unknown as {
        inSync: boolean;
        reported: { sequence: number };
        presence: object;
      };

    await publishReport(1, 0);
    await until('report 1', async () => (await show()).reported?.sequence === 1);
    expect((await show()).inSync, 'a model that saw no frame is not in sync').toBe(false);
    await publishReport(3, 40);
    await publishReport(2, 0);
    const event = {
      bootId,
      sequence: 4,
      id: 'e-1',
      type: 'start' as const,
      at: new Date().toISOString(),
      startedAt: new Date().toISOString(),
      trackId: 1,
      label: 'person',
      score: 0.7,
      box: [0.1, 0.1, 0.2, 0.4],
      frame: { sequence: 7, width: 1280, height: 720 },
      modelDigest: int8.digest,
      stagesMs: { inference: 5 },
    };
    for (let copy = 0; copy < 3; copy += 1)
      await board.client.publishAsync(deviceTopic('board-1', 'events'), encodeMessage('events', event), { qos: 1 });
    const picture = Buffer.concat([Buffer.from([0xff, 0xd8, 0xff, 0xe0]), Buffer.alloc(5000, 7)]);
    await board.client.publishAsync(snapshotTopic('board-1', 'e-1'), picture, { qos: 1 });

    const acks = () =>
      (board.received.get(deviceTopic('board-1', 'acks')) ?? []).map((bytes) => JSON.parse(bytes.toString()));
    await until('acknowledgements', () => acks().length >= 6);
    // An ack names one message: measurements and reports are committed apart.
    expect(
      acks()
        .map((ack) => ack.sequence)
        .sort(),
    ).toEqual([1, 2, 3, 4, 4, 4]);
    expect(acks().every((ack) => ack.bootId === bootId)).toBe(true);
    expect(await show()).toMatchObject({ inSync: true, reported: { sequence: 3 }, presence: { online: true, bootId } });
    const { items } = (await api.call('GET', '/api/v1/events?device=board-1&limit=10')).body as unknown as {
      items: object[];
    };
    expect(items).toHaveLength(1);
    expect(items[0]).toMatchObject({ deviceId: 'board-1', id: 'e-1', label: 'person', sequence: 4 });
    const jpeg = await until('the picture', async () => {
      const answer = await fetch(`${server.httpUrl}/api/v1/devices/board-1/snapshots/e-1`, {
        headers: { authorization: `Bearer ${api.token}` },
      });
      return answer.status === 200 ? Buffer.from(await answer.arrayBuffer()) : null;
    });
    expect(jpeg.equals(picture)).toBe(true);

    // The connection breaks without a goodbye: the last will speaks.
    board.client.stream.destroy();
    await until('the will', async () => ((await show()).presence as { online: boolean }).online === false);
  });

  it('keeps a late will of an old boot from marking a restarted board offline', async () => {
    const [first, second] = [newBoot(), newBoot()];
    const topic = deviceTopic('board-1', 'presence');
    const board = await Listener.device(enrolled);
    const say = (bootId: string, online: boolean) =>
      board.client.publishAsync(topic, encodeMessage('presence', { bootId, online }), { qos: 1, retain: true });
    const presence = async () =>
      ((await api.call('GET', '/api/v1/devices/board-1')).body as unknown as { presence: object }).presence;
    await say(first, true);
    await until('first boot', async () => ((await presence()) as { bootId: string }).bootId === first);
    await say(second, true);
    await say(first, false);
    await say(first, true);
    // Messages of one board are stored in order: once this event is there, the ones before it are, too.
    await board.client.subscribeAsync(deviceTopic('board-1', 'acks'), { qos: 1 });
    await board.client.publishAsync(deviceTopic('board-1', 'reported'), encodeMessage('reported', report(second, 1)), {
      qos: 1,
      retain: true,
    });
    await board.fetch(deviceTopic('board-1', 'acks'));
    expect(await presence()).toMatchObject({ online: true, bootId: second });
    await board.end();
  });

  it('ignores what it does not understand and goes on', async () => {
    const board = await Listener.device(enrolled);
    const topic = (kind: 'reported' | 'telemetry' | 'events') => deviceTopic('board-1', kind);
    const bootId = newBoot();
    const health = async () =>
      (await api.call('GET', '/health')).body as unknown as {
        ok: boolean;
        ingest: { invalid: number; failed: number };
      };
    const before = await health();
    for (const bytes of [
      '',
      '{',
      '[]',
      'null',
      '{"bootId":1}',
      Buffer.alloc(1000, 0xff),
      JSON.stringify({ ...report(bootId, 1), at: '2026-99-99T00:00:00.000Z' }),
    ]) {
      await board.client.publishAsync(topic('reported'), bytes, { qos: 1 });
    }
    await board.client.publishAsync(snapshotTopic('board-1', 'x'), 'no picture', { qos: 1 });
    // A string that PostgreSQL cannot hold: it must not take the messages beside it along.
    const poison = report(bootId, 2, { error: { code: 'INTERNAL', message: 'a\u0000b' } });
    await board.client.subscribeAsync(deviceTopic('board-1', 'acks'), { qos: 1 });
    await Promise.all(
      [1, 2, 3].map((sequence) =>
        board.client.publishAsync(
          topic('reported'),
          encodeMessage('reported', sequence === 2 ? poison : report(bootId, sequence)),
          { qos: 1 },
        ),
      ),
    );
    const acked = () =>
      (board.received.get(deviceTopic('board-1', 'acks')) ?? []).map((bytes) => JSON.parse(bytes.toString()).sequence);
    await until('both good ones', () => acked().length === 2);
    expect(acked()).toEqual([1, 3]);
    const after = await health();
    expect(after.ok).toBe(true);
    expect(after.ingest.invalid - before.ingest.invalid, 'an empty message only clears a retained one').toBe(7);
    expect(after.ingest.failed - before.ingest.failed).toBe(1);
    await board.end();
  });
});
