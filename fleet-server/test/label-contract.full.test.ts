import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Database } from '@vigie/fleet-server/io/database/database';
import { LabelNeedsRepository } from '@vigie/fleet-server/io/database/label-needs-repository';
import { devices } from '@vigie/fleet-server/io/database/schema/foundation';
import type { DeviceConfiguration } from '@vigie/protocol';
import { eq } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  Api,
  changedPackage,
  dataFolder,
  dropTemplate,
  editManifest,
  openTestDatabase,
  start,
  zooPackage,
} from './server-fixture.js';

let directory: string;
let token: string;
let fp32: Awaited<ReturnType<typeof zooPackage>>;

beforeAll(async () => {
  const made = await dataFolder();
  directory = made.dataDirectory;
  token = made.adminToken;
  fp32 = await zooPackage('fp32');
});
afterAll(async () => {
  await rm(join(directory, '..'), { recursive: true, force: true });
  await dropTemplate();
});

async function configure(database: Database, id: string, configuration: DeviceConfiguration): Promise<void> {
  const [row] = await database.drizzle.select().from(devices).where(eq(devices.id, id));
  const empty = { deviceId: id, generation: row.generation, issuedAt: '2026-11-21T07:00:00.000Z', release: null };
  const desired = { ...(row.desired ?? empty), configuration };
  await database.drizzle.update(devices).set({ desired }).where(eq(devices.id, id));
}

describe('the label contract', () => {
  it('keeps a class that a rule of a board needs from vanishing unnoticed', async () => {
    let server = await start(directory);
    try {
      let api = new Api(server.httpUrl, token);
      for (const id of ['board-1', 'board-2']) await api.enroll(id);
      expect((await api.call('POST', '/api/v1/releases', fp32.bytes)).status).toBe(201);
      const other = await changedPackage('int8', (folder) =>
        editManifest(folder, (text) => text.replace(/^version: .*$/m, 'version: 6.0.0')),
      );
      expect((await api.call('POST', '/api/v1/releases', other)).status).toBe(201);
      const first = { name: fp32.name, version: fp32.version, devices: ['board-1'] };
      expect((await api.call('POST', '/api/v1/assignments', first)).status).toBe(202);
      await server.close();
      const database = await openTestDatabase(directory);
      await configure(database, 'board-1', { labels: ['person'], rules: [{ name: 'yard', labels: ['unicorn'] }] });
      await configure(database, 'board-2', { labels: ['person'] });
      const needs = new LabelNeedsRepository(database);
      expect(await needs.neededLabels()).toEqual(
        new Map([
          ['person', ['board-1', 'board-2']],
          ['unicorn', ['board-1']],
        ]),
      );
      expect(await needs.neededLabels(['board-2'])).toEqual(new Map([['person', ['board-2']]]));
      await database.close();
      server = await start(directory);
      api = new Api(server.httpUrl, token);
      const assign = (body: object) =>
        api.call('POST', '/api/v1/assignments', { name: fp32.name, version: fp32.version, ...body });
      const refused = await assign({ devices: ['board-1', 'board-2'] });
      expect([refused.status, refused.body.code]).toEqual([409, 'LABELS_MISSING']);
      expect(refused.body.detail).toContain('"unicorn" (board-1)');
      const promote = (body: object) =>
        api.call('POST', '/api/v1/promotions', {
          ...{ name: fp32.name, version: fp32.version, alias: 'champion', reason: 'first of its kind' },
          ...body,
        });
      const champion = await promote({});
      expect([champion.status, champion.body.code]).toEqual([409, 'LABELS_MISSING']);
      const overrideLabels = { reason: 'the yard is empty in winter' };
      const overridden = await promote({ overrideLabels });
      expect(overridden.status).toBe(201);
      expect(overridden.body).toMatchObject({ missingLabels: ['unicorn'] });
      expect(overridden.body.reason).toContain('the yard is empty in winter');
      expect((await assign({ devices: ['board-2'] })).status).toBe(202);
      expect((await assign({ devices: ['board-1'], overrideLabels: { reason: '' } })).status).toBe(400);
      expect((await assign({ devices: ['board-1'], overrideLabels })).status).toBe(202);
    } finally {
      await server.close();
    }
    const database = await openTestDatabase(directory);
    const told = await database.drizzle.execute(
      "select actor, subject, body from activity where kind = 'release.labels-overridden'",
    );
    expect(told).toEqual([
      {
        ...{ actor: 'first admin', subject: `${fp32.name}@${fp32.version}` },
        body: expect.objectContaining({ reason: 'the yard is empty in winter', devices: 1 }),
      },
    ]);
    await database.close();
  });
});
