import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { isInSync } from '@vigie/fleet-server/devices/device-view';
import type { Database } from '@vigie/fleet-server/io/database/database';
import { DeviceRepository } from '@vigie/fleet-server/io/database/device-repository';
import { IngestRepository } from '@vigie/fleet-server/io/database/ingest-repository';
import { IngestService } from '@vigie/fleet-server/services/ingest';
import {
  type Desired,
  deviceTopic,
  encodeMessage,
  INSTALL_PHASES,
  type Reported,
  type Telemetry,
} from '@vigie/protocol';
import { sql } from 'drizzle-orm';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newBoot, openTestDatabase, report, temporaryFolder } from './server-fixture.js';

let folder: string;
let database: Database;
const acked: string[] = [];
const pictures = { put: async () => undefined, delete: async () => undefined } as never;
const broker = {
  publish: (topic: string, payload: Buffer) => acked.push(`${topic} ${payload}`),
  disconnect: () => undefined,
  connections: 0,
};
let clock = Date.parse('2026-11-21T07:00:10.000Z');

const service = () =>
  new IngestService(
    new IngestRepository(database),
    pictures,
    () => broker,
    pino({ level: 'silent' }),
    () => new Date(clock),
  );
const rowsOf = async (query: ReturnType<typeof sql>) =>
  (await database.drizzle.execute(query)) as unknown as Record<string, unknown>[];

beforeAll(async () => {
  folder = await temporaryFolder();
  database = await openTestDatabase(folder);
});

afterAll(async () => {
  await database?.close();
  await rm(folder, { recursive: true, force: true });
});

async function enrol(...ids: string[]): Promise<void> {
  for (const id of ids)
    await database.drizzle.execute(
      sql`insert into devices (id, hardware_class, agent_version, enrolled_at) values (${id}, 'generic-x64', '0.1.0', now())`,
    );
}

const model = 'a'.repeat(64);
const window = (bootId: string, sequence: number, changes: Partial<Telemetry> = {}): Telemetry => ({
  bootId,
  sequence,
  at: new Date(clock).toISOString(),
  windowSeconds: 10,
  fps: 10,
  latencyMs: { total: { p50: 10, p95: 20, p99: 30 }, inference: { p50: 5, p95: 8, p99: 9 } },
  drops: { busy: 2, stall: 1 },
  cpu: 0.5,
  memoryBytes: 1000,
  diskFreeBytes: 5000,
  temperatureC: 50,
  throttled: false,
  scoreHistogram: [0, 0, 0, 0, 0, 1, 2, 3, 4, 5],
  boxAreaHistogram: [1, 0, 0, 0, 0, 0, 0, 0, 0, 14],
  modelDigest: model,
  inferenceRestarts: 0,
  ...changes,
});

describe('telemetry', () => {
  it('is added to its minute once, however often and by however many replicas it is taken', async () => {
    await enrol('t-1', 't-2');
    const boot = newBoot();
    const replicas = [service(), service()];
    const send = (device: string, message: Telemetry) =>
      Promise.all(
        replicas.map((one) =>
          one.handle(device, deviceTopic(device, 'telemetry'), encodeMessage('telemetry', message)),
        ),
      );
    const hot = window(boot, 2, { fps: 20, temperatureC: 70, throttled: true, diskFreeBytes: 4000 });
    await Promise.all([send('t-1', window(boot, 1)), send('t-1', hot), send('t-1', window(boot, 1)), send('t-2', hot)]);
    // Not known to every sensor, and beyond what a board can measure: neither spoils the sums.
    await send('t-2', window(boot, 3, { temperatureC: null, throttled: null, latencyMs: {}, fps: 1e300, cpu: 1e-300 }));
    clock += 60_000;
    await send('t-1', window(boot, 4, { modelDigest: null }));
    const minutes = await rowsOf(sql`select * from telemetry_minutes order by device_id, at`);
    expect(minutes).toMatchObject([
      {
        ...{ device_id: 't-1', model, messages: 2, seconds: 20, frames: 300, fps_min: 10, latency_frames: 300 },
        ...{ p95_sum: 6000, inference_p95_sum: 2400, p95_max: 20, cpu_sum: 1, cpu_max: 0.5 },
        ...{ temperature_sum: 120, temperature_count: 2, temperature_max: 70, throttled: 1 },
      },
      { device_id: 't-1', model: '', messages: 1 },
      { device_id: 't-2', messages: 2, temperature_count: 1, latency_frames: 200, frames: 1e9 + 200 },
    ]);
    expect(minutes[0].drops).toBe(6);
    expect(minutes[0].disk_free_min).toBe(4000);
    expect(minutes[0].scores).toEqual([0, 0, 0, 0, 0, 2, 4, 6, 8, 10]);
    expect(await rowsOf(sql`select count(*)::int as n from telemetry`)).toEqual([{ n: 5 }]);
  });
});

it('adds telemetry that comes together as it adds telemetry that comes one by one', async () => {
  await enrol('t-3', 't-4');
  const boot = newBoot();
  const [together, apart] = [service(), service()];
  const messages = [3, 1, 2].map((step) =>
    window(boot, step, {
      ...{ fps: 7 * step, cpu: step / 8, memoryBytes: 100 * step, drops: { busy: step }, inferenceRestarts: step },
      ...{ temperatureC: step === 2 ? null : 40 + step, diskFreeBytes: step === 1 ? undefined : 100 * step },
      ...{ latencyMs: step === 3 ? {} : { total: { p50: step, p95: 2 * step, p99: 3 * step } }, throttled: step === 1 },
      scoreHistogram: Array.from({ length: 10 }, (_, bin) => bin * step),
    }),
  );
  const say = (one: IngestService, device: string, message: Telemetry) =>
    one.handle(device, deviceTopic(device, 'telemetry'), encodeMessage('telemetry', message));
  await Promise.all(messages.map((message) => say(together, 't-3', message)));
  for (const message of messages) await say(apart, 't-4', message);
  const [a, b] = await rowsOf(
    sql`select * from telemetry_minutes where device_id in ('t-3', 't-4') order by device_id`,
  );
  expect(a).toMatchObject({ messages: 3, throttled: 1, temperature_count: 2, p95_max: 4, disk_free_min: 200 });
  expect({ ...a, device_id: '' }).toEqual({ ...b, device_id: '' });
});

describe('reports', () => {
  const say = (one: IngestService, device: string, message: Reported) =>
    one.handle(device, deviceTopic(device, 'reported'), encodeMessage('reported', message));
  const told = async (device: string) =>
    (
      await rowsOf(sql`select body from activity where kind = 'device.reported' and subject = ${device} order by id`)
    ).map(({ body }) => (body as { phase: string }).phase);

  it('go forward only, and are told once, though two replicas take each', async () => {
    await enrol('r-1');
    const replicas = [service(), service()];
    const boot = newBoot();
    for (const one of replicas)
      void one.handle('r-1', deviceTopic('r-1', 'presence'), encodeMessage('presence', { bootId: boot, online: true }));
    const phases = ['IDLE', 'IDLE', 'DOWNLOADING', 'DOWNLOADING', 'TRIAL', 'COMMITTED', 'COMMITTED'] as const;
    for (const [index, phase] of phases.entries())
      await Promise.all(replicas.map((one) => say(one, 'r-1', report(boot, index + 1, { phase }))));
    // One replica is behind and takes everything again.
    for (const [index, phase] of phases.entries()) await say(replicas[1], 'r-1', report(boot, index + 1, { phase }));
    expect(await told('r-1')).toEqual(['IDLE', 'DOWNLOADING', 'TRIAL', 'COMMITTED']);
    expect(await rowsOf(sql`select phase, reported_sequence, boot_id, online from devices where id = 'r-1'`)).toEqual([
      { phase: 'COMMITTED', reported_sequence: 7, boot_id: boot, online: true },
    ]);
  });

  it('of a device that was changed in between are decided anew', async () => {
    await enrol('r-2');
    const boot = newBoot();
    const slow = new IngestRepository(database);
    const orders = await slow.orders(['r-2']);
    await say(service(), 'r-2', report(boot, 9, { phase: 'TRIAL' }));
    const was = orders.get('r-2')!;
    const body = report(boot, 3, { phase: 'OFFERED' });
    const change = { was, reported: { body, receivedAt: new Date(clock), told: { phase: 'OFFERED' } } };
    const batch = { rows: { reports: [], events: [], replies: [] }, telemetry: [], snapshots: [] };
    expect(await slow.commit({ ...batch, devices: new Map([['r-2', change]]) })).toEqual(['r-2']);
    expect(await told('r-2')).toEqual(['TRIAL']);
  });

  it('of a batch are kept though one beside them holds text that no database can', async () => {
    await enrol('r-3', 'r-4');
    const one = service();
    const boot = newBoot();
    const poison = report(boot, 2, { error: { code: 'INTERNAL', message: 'a\u0000b' } });
    const half = report(boot, 3, { error: { code: 'INTERNAL', message: 'a\ud800b' } });
    await Promise.all([
      say(one, 'r-3', report(boot, 1)),
      say(one, 'r-3', poison),
      say(one, 'r-4', half),
      say(one, 'r-4', report(boot, 4)),
    ]);
    expect(one.counters).toMatchObject({ stored: 2, failed: 2 });
  });
});

describe('the columns of lists', () => {
  it('say the same as the rule that they stand for', async () => {
    await enrol('c-1');
    const devices = new DeviceRepository(database);
    const release = { name: 'm', version: '1.0.0', digest: model };
    const other = { ...release, version: '2.0.0', digest: 'b'.repeat(64) };
    const boot = newBoot();
    const wanted: (Desired | null)[] = [
      null,
      { deviceId: 'c-1', generation: 7, issuedAt: '2026-11-21T07:00:00.000Z', release: null },
      { deviceId: 'c-1', generation: 7, issuedAt: '2026-11-21T07:00:00.000Z', release },
    ];
    const running = (which: typeof release, framesRun: number) => ({
      release: which,
      framesRun,
      since: '2026-11-21T07:00:00.000Z',
    });
    const actives = [null, running(release, 0), running(release, 5), running(other, 5)];
    let inSync = 0;
    for (const desired of wanted)
      for (const active of actives)
        for (const [generation, phase] of [...INSTALL_PHASES, 'IDLE' as const].flatMap(
          (one) =>
            [
              [6, one],
              [7, one],
            ] as const,
        ))
          for (const reportedBoot of [boot, randomUUID()]) {
            const reported = report(reportedBoot, 1, { generation, phase, active });
            await database.drizzle.execute(sql`update devices set boot_id = ${boot}, desired = ${JSON.stringify(desired)}::jsonb,
              reported = ${JSON.stringify(reported)}::jsonb where id = 'c-1'`);
            const record = (await devices.find('c-1'))!;
            const [row] = await rowsOf(
              sql`select in_sync, running, desired_release, phase from devices where id = 'c-1'`,
            );
            expect(row).toEqual({
              in_sync: isInSync(record),
              running: active && `m@${active.release.version}`,
              desired_release: desired?.release ? 'm@1.0.0' : null,
              phase,
            });
            inSync += row.in_sync === true ? 1 : 0;
          }
    expect(inSync).toBe(2);
  });
});
