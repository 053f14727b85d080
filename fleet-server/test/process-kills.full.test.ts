import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { chunkTopic, decodeMessage, deviceTopic, type EnrollResponse } from '@vigie/protocol';
import { afterAll, describe, expect, it } from 'vitest';
import { Api, dataFolder, dropTemplate, Listener, spawnServer, zooPackage } from './server-fixture.js';
import { fetchRelease, verifiedTargets } from './tuf-client.js';

afterAll(dropTemplate);

const generationOf = (bytes: Buffer): number => {
  const envelope = decodeMessage('desired', bytes);
  if (!envelope.ok) throw new Error(envelope.detail);
  return JSON.parse(Buffer.from(envelope.message.payload, 'base64').toString()).generation;
};

describe('SIGKILL', () => {
  it('at any moment of uploads and assignments leaves a folder that starts, with all that was answered', {
    timeout: 240_000,
  }, async () => {
    const { dataDirectory, adminToken } = await dataFolder();
    const packages = [await zooPackage('fp32'), await zooPackage('int8')];
    let server = await spawnServer(dataDirectory);
    let enrolled: EnrollResponse = await new Api(server.http, adminToken).enroll('board-1');
    const uploaded = new Set<string>();
    let generation = 0;
    let interrupted = 0;
    // Kills after growing delays hit the upload, the sandbox, the object store, the database and the publication.
    for (const delay of [30, 120, 300, 500, 700, 900, 1200, 40, 90, 150]) {
      const api = new Api(server.http, adminToken);
      const work = (async () => {
        for (const { bytes, name, version } of uploaded.size === 1 ? packages.toReversed() : packages) {
          const answer = await api.call('POST', '/api/v1/releases', bytes);
          if (answer.status === 200 || answer.status === 201) uploaded.add(version);
          for (let round = 0; round < 10; round += 1) {
            const assigned = await api.call('POST', '/api/v1/assignments', { devices: ['board-1'], name, version });
            if (assigned.status === 202)
              generation = (assigned.body as unknown as { assignments: { generation: number }[] }).assignments[0]
                .generation;
          }
        }
      })().catch(() => {
        interrupted += 1;
      });
      await new Promise((resolve) => setTimeout(resolve, delay));
      await server.kill('SIGKILL');
      await work;
      server = await spawnServer(dataDirectory);
      const check = new Api(server.http, adminToken);
      const { items } = (await check.call('GET', '/api/v1/releases')).body as unknown as {
        items: { version: string }[];
      };
      expect(items.map((one) => one.version)).toEqual(expect.arrayContaining([...uploaded]));
      const device = (await check.call('GET', '/api/v1/devices/board-1')).body as unknown as {
        desired: { generation: number } | null;
      };
      expect(device.desired?.generation ?? 0).toBeGreaterThanOrEqual(generation);
      generation = device.desired?.generation ?? 0;
      if (generation > 0) {
        const board = await Listener.device({ ...enrolled, mqtt: { url: server.mqtts } });
        expect(generationOf(await board.fetch(deviceTopic('board-1', 'desired')))).toBe(generation);
        const { targets } = await verifiedTargets(board, enrolled.tufRoot);
        expect(Object.keys(targets)).toHaveLength(items.length);
        await board.end();
      }
    }
    expect(interrupted, 'no kill met work under way').toBeGreaterThan(0);
    // And it still works: both packages, a new board, a new assignment, every byte right.
    const api = new Api(server.http, adminToken);
    for (const { bytes } of packages)
      expect([200, 201]).toContain((await api.call('POST', '/api/v1/releases', bytes)).status);
    enrolled = await api.enroll('board-2');
    const [{ name, version }] = packages;
    expect((await api.call('POST', '/api/v1/assignments', { devices: ['board-2'], name, version })).status).toBe(202);
    const board = await Listener.device(enrolled);
    const trusted = await verifiedTargets(board, enrolled.tufRoot);
    await fetchRelease(board, trusted, `releases/${name}/${version}.json`);
    await board.fetch(chunkTopic(trusted.targets[`releases/${name}/${version}.json`].hashes.sha256));
    await board.end();
    await server.kill('SIGTERM');
    expect(server.child.exitCode).toBe(0);
    expect(await readdir(join(dataDirectory, 'tmp'))).toEqual([]);
    await rm(join(dataDirectory, '..'), { recursive: true, force: true });
  });
});
