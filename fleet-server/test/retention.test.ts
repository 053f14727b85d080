import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import type { Database } from '@vigie/fleet-server/io/database/database';
import { dropDecisions } from '@vigie/fleet-server/io/database/decision-retention';
import { DeviceRepository } from '@vigie/fleet-server/io/database/device-repository';
import { IngestRepository } from '@vigie/fleet-server/io/database/ingest-repository';
import type { ReceivedRow } from '@vigie/fleet-server/io/database/ingest-rows';
import { rolloutDecisions, rollouts } from '@vigie/fleet-server/io/database/schema/rollouts';
import { NEW_PROGRESS } from '@vigie/fleet-server/rollout/model';
import { completeSpec } from '@vigie/fleet-server/rollout/spec';
import type { RolloutState } from '@vigie/fleet-server/rollout/states';
import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTestDatabase, sha256, temporaryFolder } from './server-fixture.js';

let folder: string;
let database: Database;
let repository: IngestRepository;

beforeAll(async () => {
  folder = await temporaryFolder();
  database = await openTestDatabase(folder);
  repository = new IngestRepository(database);
});

afterAll(async () => {
  await database?.close();
  await rm(folder, { recursive: true, force: true });
});

const bootId = randomUUID();
const row = (deviceId: string, sequence: number): ReceivedRow => {
  const at = new Date();
  return { deviceId, bootId, sequence, at, receivedAt: at, body: { sequence } };
};
const batch = (events: ReceivedRow[]) => ({
  rows: { events, reports: [], replies: [] },
  telemetry: [],
  snapshots: [],
  devices: new Map(),
});
const kept = async (device: string) =>
  (await repository.events({ device, limit: 1000 })).map(({ body }) => (body as { sequence: number }).sequence);

describe('histories', () => {
  it('hold each message once and only the newest of a device', async () => {
    const mine = Array.from({ length: 30 }, (_, sequence) => row('a', sequence));
    await repository.commit(batch([...mine, row('b', 1)]));
    await repository.commit(batch(mine));
    expect(await kept('a')).toHaveLength(30);
    await repository.prune('events', 'a', 10);
    expect(await kept('a')).toEqual([29, 28, 27, 26, 25, 24, 23, 22, 21, 20]);
    await repository.prune('events', 'a', 10);
    await repository.prune('events', 'b', 10);
    expect([(await kept('a')).length, (await kept('b')).length]).toEqual([10, 1]);
  });

  it('name the pictures that nothing needs any more', async () => {
    const picture = (deviceId: string, eventId: string, content: string) => ({
      deviceId,
      eventId,
      sha256: sha256(Buffer.from(content)),
      bytes: 1,
      receivedAt: new Date(),
    });
    const snapshots = [
      picture('a', '1', 'shared'),
      picture('a', '2', 'own'),
      picture('a', '3', 'new'),
      picture('b', '1', 'shared'),
    ];
    await repository.commit({ ...batch([]), snapshots });
    expect(await repository.pruneSnapshots('a', 1)).toEqual([sha256(Buffer.from('own'))]);
    expect(await repository.pruneSnapshots('a', 1)).toEqual([]);
    expect(await repository.snapshot('a', '3')).not.toBeNull();
    expect(await repository.pruneSnapshots('b', 0)).toEqual([sha256(Buffer.from('shared'))]);
  });

  it('are written all or not at all', async () => {
    const broken = { ...row('c', 2), body: { text: 'a\u0000b' } };
    await expect(repository.commit(batch([row('c', 1), broken]))).rejects.toMatchObject({ code: 'DATABASE_FAILED' });
    expect(await kept('c')).toEqual([]);
  });
});

const day = (number: number) => new Date(Date.UTC(2026, 0, number));

describe('decisions of rollouts', () => {
  const release = { name: 'm', version: '1.0.0' };

  async function rollout(id: number, state: RolloutState, endedAt: Date | null, days: number[]): Promise<void> {
    await database.drizzle.insert(rollouts).values({
      ...{ id, state, endedAt, spec: completeSpec({ release, selector: {} }), releaseId: 1, progress: NEW_PROGRESS },
      ...{ createdAt: day(1), createdBy: 'ann', updatedAt: day(1) },
    });
    await database.drizzle.insert(rolloutDecisions).values(
      days.map((at, revision) => ({
        ...{ rolloutId: id, revision, at: day(at), actor: 'system', kind: 'observed' as const, text: `day ${at}` },
        inputs: {},
      })),
    );
  }
  const kept = async () => {
    const rows = await database.drizzle.select().from(rolloutDecisions).orderBy(rolloutDecisions.id);
    return rows.map(({ rolloutId, text }) => `${rolloutId}: ${text}`);
  };

  it('go when they are old, but not those of a rollout that runs or has ended just now', async () => {
    await database.drizzle.execute(sql`insert into releases
      (id, name, version, digest, precision, bytes, state, descriptor, descriptor_sha256, descriptor_bytes, created_at)
      values (1, 'm', '1.0.0', repeat('a', 64), 'int8', 1, 'released', '{}', repeat('b', 64), 2, now())`);
    await rollout(1, 'succeeded', day(3), [1, 2, 3, 12]);
    await rollout(2, 'running', null, [1, 12]);
    await rollout(3, 'paused', null, [1]);
    await rollout(4, 'turned-back', day(11), [1, 11]);
    await rollout(5, 'aborted', day(2), [1, 1, 1, 2]);
    // It had ended and was retried: it runs again.
    await rollout(6, 'running', day(2), [1]);
    await dropDecisions(database, day(10), 2);
    expect(await kept()).toEqual([
      '1: day 12',
      '2: day 1',
      '2: day 12',
      '3: day 1',
      '4: day 1',
      '4: day 11',
      '6: day 1',
    ]);
    await dropDecisions(database, day(10));
    expect(await kept()).toHaveLength(7);
  });
});

describe('boards that a broker says nothing of', () => {
  it('are offline, but for those it named and those that moved since', async () => {
    const devices = new DeviceRepository(database);
    const insert = (id: string, online: boolean, presenceAt: Date, generation: number, reported: number | null) =>
      database.drizzle.execute(sql`insert into devices (id, hardware_class, agent_version, enrolled_at, online, presence_at,
        generation, desired, reported) values (${id}, 'pi5', '0.1.0', now(), ${online},
        ${presenceAt.toISOString()}::timestamptz, ${generation}, '{}'::jsonb, ${reported === null ? null : JSON.stringify({ generation: reported })}::jsonb)`);
    await insert('heard', true, day(1), 3, 3);
    await insert('silent', true, day(1), 3, 2);
    await insert('moved', true, day(20), 2, null);
    await insert('away', false, day(1), 2, 1);
    expect(await devices.unconfirmed(10)).toEqual(['moved', 'silent']);
    expect(await devices.unconfirmed(1)).toHaveLength(1);
    await devices.markOfflineExcept(new Set(['heard']), day(10));
    const online = await database.drizzle.execute(sql`select id from devices where online order by id`);
    expect(online).toEqual([{ id: 'heard' }, { id: 'moved' }]);
    expect(await devices.unconfirmed(10)).toEqual(['moved']);
    await devices.markOfflineExcept(new Set(), day(30));
    expect(await database.drizzle.execute(sql`select id from devices where online`)).toEqual([]);
  });
});
