import { deviceTopic } from '@vigie/protocol';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { FleetConnection } from '../src/io/fleet-connection.js';
import type { UpdateStatus } from '../src/update/status.js';
import { scratchFolder, TestBroker, TestFleet, until } from './fleet-fixture.js';
import { ManualClock } from './manual-clock.js';

const BOOT = '0b5f7a52-1c7e-4f4e-9d53-6f9f1f3f8b11';
const STATUS = {
  ...{ generation: 0, phase: 'IDLE', error: null, active: null, candidate: null },
} as unknown as UpdateStatus;

let broker: TestBroker;
let connection: FleetConnection;
const clock = new ManualClock();

beforeEach(async () => {
  broker = await TestBroker.start();
  const silent = () => undefined;
  connection = new FleetConnection({
    ...{ identity: new TestFleet(broker).identity, bootId: BOOT, dataDirectory: scratchFolder(), clock },
    ...{
      log: { debug: silent, info: silent, warn: silent, error: silent },
      agentVersion: '0.1.0',
      hardwareClass: 'generic-x64',
    },
  });
  await connection.start({
    ...{ desired: silent, connected: silent, status: () => STATUS, newestIssuedAt: 0 },
  });
});

afterEach(async () => {
  await connection.close();
  await broker.close();
});

it('says again that the board is there, because the last will of an earlier connection may come later', async () => {
  const births = () =>
    broker.published.filter(({ topic, payload }) => topic.endsWith('/presence') && payload.includes('"online":true'));
  await until('the birth', () => births().length === 1);
  const topic = deviceTopic('board-1', 'presence');
  await broker.retain(topic, Buffer.from(JSON.stringify({ bootId: BOOT, online: false })));
  clock.advance(60_000);
  await until('the birth once more', () => births().length === 2);
  expect(births().map(({ payload }) => JSON.parse(payload.toString()))).toEqual([
    { bootId: BOOT, online: true, at: expect.any(String) },
    { bootId: BOOT, online: true, at: expect.any(String) },
  ]);
});
