import { rm } from 'node:fs/promises';
import type { DeviceFacts } from '@vigie/fleet-server/alerts/device-observations';
import { AlertFactsRepository } from '@vigie/fleet-server/io/database/alert-facts-repository';
import type { Database } from '@vigie/fleet-server/io/database/database';
import { DeviceAdministration } from '@vigie/fleet-server/io/database/device-administration';
import { deviceRanges } from '@vigie/fleet-server/io/database/device-ranges';
import { DeviceRepository } from '@vigie/fleet-server/io/database/device-repository';
import { type EventKey, EventRepository } from '@vigie/fleet-server/io/database/event-repository';
import { RolloutRepository } from '@vigie/fleet-server/io/database/rollout-repository';
import { RolloutViews } from '@vigie/fleet-server/io/database/rollout-views';
import { TelemetryRepository } from '@vigie/fleet-server/io/database/telemetry-repository';
import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTestDatabase, temporaryFolder } from './server-fixture.js';

/** More than any part in which a fleet is looked through. */
const BOARDS = 1203;
const id = (number: number) => `b${String(number).padStart(5, '0')}`;
const all = Array.from({ length: BOARDS }, (_, number) => id(number));
const at = new Date('2026-11-20T12:00:00.000Z');
let folder: string;
let database: Database;
const run = (query: ReturnType<typeof sql>) => database.drizzle.execute(query);

beforeAll(async () => {
  folder = await temporaryFolder();
  database = await openTestDatabase(folder);
  await run(sql`insert into devices (id, hardware_class, agent_version, enrolled_at, online)
    select 'b' || lpad(n::text, 5, '0'), 'generic-x64', '0.1.0', now(), true from generate_series(0, ${BOARDS - 1}) as n`);
  await run(sql`insert into releases (id, name, version, digest, precision, bytes, state, descriptor, descriptor_sha256, descriptor_bytes, created_at)
    values (1, 'm', '1.0.0', 'd', 'int8', 1, 'released', '{}', 's', 1, now())`);
});

afterAll(async () => {
  await database?.close();
  await rm(folder, { recursive: true, force: true });
});

describe('a fleet that is larger than one part', () => {
  it('is looked through once, in order, up to its last board', async () => {
    const ranges: string[][] = [];
    for await (const { after, last } of deviceRanges(database, 401)) ranges.push([after, last]);
    expect(ranges).toEqual([
      ['', id(400)],
      [id(400), id(801)],
      [id(801), id(1202)],
    ]);
    expect((await new DeviceRepository(database).selectable()).map((one) => one.id)).toEqual(all);
  });

  it('is shown to alert rules in parts, with what they ask for', async () => {
    await run(sql`insert into device_certificates (serial, device_id, issued_at, expires_at)
      values ('1', ${id(7)}, now(), ${at.toISOString()}::timestamptz), ('2', ${id(1202)}, now(), ${at.toISOString()}::timestamptz)`);
    await run(sql`insert into telemetry (device_id, boot_id, sequence, at, received_at, body)
      values (${id(1202)}, 'x', 1, now(), now(), '{"fps": 4}'), (${id(1202)}, 'x', 2, now(), now(), '{"fps": 5}')`);
    const facts: DeviceFacts[] = [];
    const wanted = { telemetry: true, usualFps: false, drifting: false, certificates: true };
    for await (const part of new AlertFactsRepository(database).devices(at, wanted)) {
      expect(part.length).toBeLessThanOrEqual(250);
      facts.push(...part);
    }
    expect(facts.map((one) => one.id).sort()).toEqual(all);
    const last = facts.find((one) => one.id === id(1202));
    expect(last).toMatchObject({ certificateEndsAt: at, telemetry: { fps: 5 }, usualFps: null, drifting: null });
    expect(facts.find((one) => one.id === id(8))).toMatchObject({ certificateEndsAt: null, telemetry: null });
  });

  it('is summed by model over all parts', async () => {
    await run(sql`insert into telemetry_minutes (device_id, at, model, messages, seconds, frames, fps_min, latency_frames, p50_sum, p95_sum,
        p99_sum, inference_p95_sum, p95_max, drops, cpu_sum, cpu_max, memory_max, temperature_sum, temperature_count, temperature_max,
        throttled, disk_free_min, restarts_max, scores, areas)
      select id, ${at.toISOString()}::timestamptz + m * interval '1 minute', 'd', 6, 60, 480, 7, 480, 1, 1, 1, 1, n, 2, 1, 0.5, 9, 0, 0, null, 0, n, 0,
        array[1,0,0,0,0,0,0,0,0,2]::bigint[], array[0,0,0,0,0,0,0,0,0,1]::bigint[]
      from (select id, row_number() over (order by id) as n from devices) as boards, generate_series(0, 1) as m`);
    const rows = await new TelemetryRepository(database).byModel('minute', at, new Date(at.getTime() + 3_600_000));
    expect(rows).toMatchObject([
      { model: 'd', release: 'm@1.0.0', boards: BOARDS, messages: 12 * BOARDS, frames: 960 * BOARDS, fps_min: 7 },
    ]);
    const [{ p95_max, disk_free_min, temperature_max, scores, areas }] = rows;
    expect([p95_max, Number(disk_free_min), temperature_max]).toEqual([BOARDS, 1, null]);
    expect([scores[0], scores[9], areas[9]].map(Number)).toEqual([2 * BOARDS, 4 * BOARDS, 2 * BOARDS]);
  });
});

describe('a rollout over it', () => {
  const rollout = (number: number, state: string) =>
    run(sql`insert into rollouts (id, spec, release_id, state, progress, created_at, created_by, updated_at)
      values (${number}, '{}', 1, ${state}, '{}', now(), 'ann', now())`);
  const member = (of: number, boards: number, state: string) =>
    run(sql`insert into rollout_devices (rollout_id, device_id, wave, position, cohort, state, "out", attempt)
      select ${of}, id, 0, ${BOARDS} - n, 'A', ${state}, ${state === 'offered'}, 0
      from (select id, row_number() over (order by id) as n from devices order by id limit ${boards}) as given`);

  it('finds its newcomers, without those that a newer one has that goes on', async () => {
    const repository = new RolloutRepository(database);
    expect((await repository.newcomers(1)).map((one) => one.id)).toEqual(all);
    await rollout(1, 'running');
    await rollout(2, 'running');
    await rollout(3, 'aborted');
    await member(1, 2, 'waiting');
    await member(2, 1100, 'waiting');
    await member(3, BOARDS, 'waiting');
    expect((await repository.newcomers(1)).map((one) => one.id)).toEqual(all.slice(1100));
    expect((await repository.newcomers(2)).map((one) => one.id)).toEqual(all.slice(1100));
    expect((await repository.newcomers(2, [id(5), id(1150)])).map((one) => one.id)).toEqual([id(1150)]);
  });

  it('counts who comes next, who is away and who is at work, and hands boards over in its order', async () => {
    const repository = new RolloutRepository(database);
    await run(sql`update devices set online = id not in (${id(3)}, ${id(9)}), pending = id = ${id(4)},
      revoked_at = case when id = ${id(5)} then now() end`);
    await run(sql`update rollout_devices set state = 'succeeded' where rollout_id = 2 and device_id = ${id(9)}`);
    await run(sql`update rollout_devices set retry_at = ${at.toISOString()}::timestamptz + interval '1 minute'
      where rollout_id = 2 and device_id = ${id(6)}`);
    await run(sql`update rollout_devices set state = 'offered', "out" = true, hold_until = ${at.toISOString()}::timestamptz,
      offered_at = ${at.toISOString()}::timestamptz where rollout_id = 2 and device_id = ${id(7)}`);
    const { tallies, starts } = await repository.tallies(2, at, new Date(at.getTime() - 1000));
    expect(tallies).toEqual([
      { states: { waiting: 1098, succeeded: 1, offered: 1 }, out: 1, coming: 1094, unreachable: 1, silent: 1 },
    ]);
    expect(starts).toBe(1);
    const next = await repository.candidates(2, 0, at, null, 3);
    expect(next.map(({ member: one }) => one.deviceId)).toEqual([id(1099), id(1098), id(1097)]);
    expect(next.map(({ wantedBy }) => wantedBy)).toEqual([null, null, null]);
    const touched = async (which: 'changed' | 'overdue' | 'all', now: Date) =>
      (await repository.touched(2, now, which, 10)).map(({ member: one }) => one.deviceId).sort();
    const before = new Date(at.getTime() - 1);
    // Nothing was seen of either yet.
    expect(await touched('changed', before)).toEqual([id(7), id(9)]);
    expect([await touched('overdue', before), await touched('overdue', at)]).toEqual([[], [id(7)]]);
    expect(await touched('all', before)).toEqual([id(7)]);
    expect((await repository.touched(1, at, 'changed', 10)).length).toBe(0);
    const [older] = await repository.candidates(1, 0, at, null, 1);
    expect(older.wantedBy).toBe(2);
    const counts = await new RolloutViews(database).countsOf(2);
    expect(counts.map(({ state, count }) => [state, count]).sort()).toEqual([
      ['offered', 1],
      ['succeeded', 1],
      ['unreachable', 1],
      ['waiting', 1097],
    ]);
  });
});

describe('presence', () => {
  it('of a whole fleet is told of once, board by board, whatever the planner knew of it before', async () => {
    const administration = new DeviceAdministration(database);
    const told = async () => {
      const rows = (await run(sql`select kind, subject from activity order by kind, subject`)) as unknown as object[];
      await run(sql`delete from activity`);
      return rows;
    };
    const lines = (kind: string, ids: readonly string[]) => ids.map((subject) => ({ kind, subject }));
    await run(sql`update devices set online = true, decommissioned_at = case when id = ${id(0)} then now() end`);
    await administration.announcePresence(at, at);
    await administration.announcePresence(at, at);
    expect(await told()).toEqual(lines('device.online', all.slice(1)));
    // The statistics say from here on that all are online.
    await run(sql`analyze devices`);
    await run(sql`update devices set online = false,
      presence_at = ${at.toISOString()}::timestamptz - case when id = ${id(1)} then interval '1 second' else interval '1 minute' end`);
    await administration.announcePresence(at, new Date(at.getTime() - 30_000));
    expect(await told()).toEqual(lines('device.offline', all.slice(2)));
    await administration.announcePresence(at, at);
    expect(await told()).toEqual(lines('device.offline', [id(1)]));
  });
});

describe('events', () => {
  it('come in the order of their own times where times are asked for, page by page', async () => {
    await run(sql`insert into events (device_id, boot_id, sequence, at, received_at, body)
      select 'b00001', 'x', n, ${at.toISOString()}::timestamptz - (n * 7 % 12 / 2) * interval '1 minute', now(), jsonb_build_object('n', n)
      from generate_series(1, 12) as n`);
    const repository = new EventRepository(database);
    const read = async (filter: { from?: Date; to?: Date }, limit: number) => {
      const found: { id: number; at: Date }[] = [];
      for (let after: EventKey | null = null; ; ) {
        const page = await repository.page(filter, after, limit);
        found.push(...page.map((row) => ({ id: row.id, at: row.at })));
        if (page.length < limit) return found;
        after = page[page.length - 1];
      }
    };
    const arrival = await read({}, 5);
    expect(arrival.map((one) => one.id)).toEqual(arrival.map((one) => one.id).sort((a, b) => b - a));
    const byTime = arrival.toSorted((a, b) => b.at.getTime() - a.at.getTime() || b.id - a.id);
    expect(byTime).not.toEqual(arrival);
    expect(await read({ to: new Date(at.getTime() + 1) }, 5)).toEqual(byTime);
    const from = new Date(at.getTime() - 120_000);
    expect(await read({ from, to: at }, 1)).toEqual(byTime.filter((one) => one.at >= from && one.at < at));
  });
});
