import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ActivityRepository } from '@vigie/fleet-server/io/database/activity-repository';
import { CommandRepository } from '@vigie/fleet-server/io/database/command-repository';
import type { Database } from '@vigie/fleet-server/io/database/database';
import { DriftRepository } from '@vigie/fleet-server/io/database/drift-repository';
import { IngestRepository } from '@vigie/fleet-server/io/database/ingest-repository';
import { PictureRepository } from '@vigie/fleet-server/io/database/picture-repository';
import { TelemetryRepository } from '@vigie/fleet-server/io/database/telemetry-repository';
import { FolderObjectStore } from '@vigie/fleet-server/io/folder-object-store';
import { DriftWatch } from '@vigie/fleet-server/services/drift-watch';
import { HistoryRetention } from '@vigie/fleet-server/services/history-retention';
import { IngestService } from '@vigie/fleet-server/services/ingest';
import { deviceTopic, encodeMessage, snapshotTopic, type Telemetry } from '@vigie/protocol';
import { sql } from 'drizzle-orm';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { holdAnswersToSchemas, newBoot, openTestDatabase, report, sha256, temporaryFolder } from './server-fixture.js';

holdAnswersToSchemas();

const HOUR = 3_600_000;
const model = 'a'.repeat(64);
let folder: string;
let database: Database;
let pictures: FolderObjectStore;
let clock = Date.parse('2026-11-20T00:00:30.000Z');
const now = () => new Date(clock);
let ingest: IngestService;
const boot = newBoot();
let sequence = 0;

beforeAll(async () => {
  folder = await temporaryFolder();
  database = await openTestDatabase(folder);
  pictures = await FolderObjectStore.open(join(folder, 'pictures'));
  const broker = { publish: () => undefined, disconnect: () => undefined, connections: 0 };
  ingest = new IngestService(new IngestRepository(database), pictures, () => broker, pino({ level: 'silent' }), now);
  for (const id of ['a', 'b'])
    await database.drizzle.execute(
      sql`insert into devices (id, hardware_class, agent_version, enrolled_at) values (${id}, 'generic-x64', '0.1.0', now())`,
    );
});

afterAll(async () => {
  await database?.close();
  await rm(folder, { recursive: true, force: true });
});

const measure = (device: string, changes: Partial<Telemetry> = {}) => {
  sequence += 1;
  const message: Telemetry = {
    ...{ bootId: boot, sequence, at: now().toISOString(), windowSeconds: 10, fps: 10, drops: {}, cpu: 0.5 },
    ...{ memoryBytes: 1000, temperatureC: null, throttled: null, modelDigest: model, inferenceRestarts: 0 },
    latencyMs: { total: { p50: 10, p95: 20, p99: 30 } },
    scoreHistogram: [0, 0, 0, 0, 10, 20, 40, 20, 10, 0],
    boxAreaHistogram: [0, 0, 10, 40, 40, 10, 0, 0, 0, 0],
    ...changes,
  };
  return ingest.handle(device, deviceTopic(device, 'telemetry'), encodeMessage('telemetry', message));
};
const rows = async (query: ReturnType<typeof sql>) =>
  (await database.drizzle.execute(query)) as unknown as Record<string, unknown>[];

describe('hours of telemetry', () => {
  it('are made of minutes once they are over, however often, and summed over boards', async () => {
    const telemetry = new TelemetryRepository(database);
    await telemetry.rollHours(now());
    for (let minute = 0; minute < 90; minute += 30) {
      await measure('a', { fps: 10 + minute / 10 });
      if (minute === 0) await measure('b', { modelDigest: null });
      clock += 30 * 60_000;
    }
    const hours = () =>
      rows(sql`select device_id, at, messages, frames, model from telemetry_hours order by device_id, at`);
    await telemetry.rollHours(now());
    await telemetry.rollHours(now());
    expect(await hours()).toMatchObject([
      { device_id: 'a', messages: 2, frames: 230, model },
      { device_id: 'b', messages: 1, model: '' },
    ]);
    clock += HOUR;
    await telemetry.rollHours(now());
    expect(await hours()).toHaveLength(3);
    const day = [new Date(clock - 24 * HOUR), now()] as const;
    const minutes = await telemetry.series('a', 'minute', ...day, 100);
    expect(minutes.map(({ at, frames }) => [at, frames])).toEqual([
      ['2026-11-20T00:00:00Z', 100],
      ['2026-11-20T00:30:00Z', 130],
      ['2026-11-20T01:00:00Z', 160],
    ]);
    expect(await telemetry.byModel('hour', ...day)).toMatchObject([
      { model: '', boards: 1 },
      { model, boards: 1, messages: 3, frames: 390 },
    ]);
    expect(await telemetry.raw('a', ...day, 2)).toMatchObject([{ fps: 16 }, { fps: 13 }]);
    await telemetry.dropBefore('minute', new Date(Date.parse('2026-11-20T00:30:00Z')));
    expect(await telemetry.series('a', 'minute', ...day, 100)).toHaveLength(2);
  });
});

describe('drift', () => {
  it('is found against the first hours, told once, told when it is over, and asks for a retraining', async () => {
    const telemetry = new TelemetryRepository(database);
    const repository = new DriftRepository(database);
    const rules = {
      ...{ schedule: '17 * * * *', retrainSchedule: '0 3 * * *', baselineHours: 2, windowHours: 2 },
      ...{ minDetections: 100, scorePsi: 0.25, areaPsi: 0.25 },
    };
    const watches = [0, 1].map(() => new DriftWatch(repository, new ActivityRepository(database), rules, now));
    const release = { name: 'm', version: '1.0.0', digest: model };
    const active = { release, framesRun: 9, since: now().toISOString() };
    await ingest.handle('a', deviceTopic('a', 'reported'), encodeMessage('reported', report(boot, 1, { active })));
    const told = async () =>
      (
        await rows(
          sql`select kind, subject, body from activity where kind like 'drift.%' or kind = 'retrain.wanted' order by id`,
        )
      ).map(({ kind, subject, body }) => [kind, subject, (body as { reason?: string }).reason]);
    const hour = async (changes: Partial<Telemetry> = {}) => {
      await measure('a', changes);
      clock += HOUR;
      await telemetry.rollHours(now());
      await Promise.all(watches.map((watch) => watch.round()));
    };
    for (let index = 0; index < 4; index += 1) await hour();
    expect(await repository.findings('a', 10)).toMatchObject([{ drifting: false, model }]);
    expect(await told()).toEqual([]);
    const weak = { scoreHistogram: [0, 0, 80, 20, 0, 0, 0, 0, 0, 0] };
    for (let index = 0; index < 3; index += 1) await hour(weak);
    expect((await told()).sort()).toEqual([
      ['drift.found', 'a', undefined],
      ['drift.found', model, undefined],
      ['retrain.wanted', model, 'drift'],
    ]);
    expect(await repository.findings(undefined, 10)).toMatchObject([{ drifting: true }, { drifting: true }]);
    for (let index = 0; index < 3; index += 1) await hour();
    expect((await told()).filter(([kind]) => kind === 'drift.cleared')).toHaveLength(2);
    clock = Date.parse('2026-11-21T03:00:10.000Z');
    await Promise.all(watches.map((watch) => watch.round()));
    await Promise.all(watches.map((watch) => watch.round()));
    expect((await told()).filter(([, , reason]) => reason === 'schedule')).toEqual([
      ['retrain.wanted', 'fleet', 'schedule'],
    ]);
  });
});

describe('retention by age', () => {
  it('drops old events and snapshots, and pictures that nobody names', async () => {
    const repository = new PictureRepository(database);
    const days = { eventDays: 90, snapshotDays: 30, minuteDays: 30, hourDays: 365, commandDays: 30 };
    const retention = new HistoryRetention(
      ...([
        repository,
        new TelemetryRepository(database),
        new CommandRepository(database),
        pictures,
        days,
        now,
      ] as const),
    );
    const picture = (content: number) => Buffer.concat([Buffer.from([0xff, 0xd8, 0xff]), Buffer.alloc(50, content)]);
    const send = (event: string, content: number) => ingest.handle('a', snapshotTopic('a', event), picture(content));
    const exists = async (content: number) => {
      const held = [];
      for await (const { sha256: name } of pictures.list()) held.push(name);
      return held.includes(sha256(picture(content)));
    };
    clock = Date.now() - 40 * 24 * HOUR;
    await send('old', 1);
    await send('shared', 2);
    await send('replaced', 3);
    clock = Date.now();
    await send('new', 2);
    await send('replaced', 4);
    await retention.round();
    expect((await rows(sql`select event_id from snapshots order by id`)).map(({ event_id: id }) => id).sort()).toEqual([
      'new',
      'replaced',
    ]);
    expect([await exists(1), await exists(3)], 'not at once: another replica may name it just now').toEqual([
      true,
      true,
    ]);
    await pictures.put(sha256(picture(5)), picture(5));
    clock += 2 * 24 * HOUR;
    await retention.round();
    expect(await Promise.all([1, 2, 3, 4, 5].map(exists))).toEqual([false, true, false, true, false]);
    expect(await rows(sql`select count(*)::int as n from picture_deletions`)).toEqual([{ n: 0 }]);
  });
});
