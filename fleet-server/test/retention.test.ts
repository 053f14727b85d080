import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import type { Database } from '@vigie/fleet-server/io/database/database';
import { IngestRepository } from '@vigie/fleet-server/io/database/ingest-repository';
import type { ReceivedRow } from '@vigie/fleet-server/io/database/ingest-rows';
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
    await repository.vacuum();
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
