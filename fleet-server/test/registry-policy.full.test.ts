import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { releaseTargetPath } from '@vigie/protocol';
import { afterAll, describe, expect, it } from 'vitest';
import { Api, dataFolder, dropTemplate, Listener, start, zooPackage } from './server-fixture.js';
import { fetchRelease, verifiedTargets } from './tuf-client.js';

const folders: string[] = [];
afterAll(async () => {
  for (const folder of folders) await rm(join(folder, '..'), { recursive: true, force: true });
  await dropTemplate();
});

describe('a data folder from the time before gates were asked for', () => {
  it('keeps what was released, certificate included, and holds the next upload back', async () => {
    const { dataDirectory, adminToken } = await dataFolder();
    folders.push(dataDirectory);
    const fp32 = await zooPackage('fp32');
    const int8 = await zooPackage('int8');
    const before = await start(dataDirectory, { registry: { policy: 'default' } });
    let api = new Api(before.httpUrl, adminToken);
    try {
      expect((await api.call('POST', '/api/v1/releases', fp32.bytes)).body.state).toBe('released');
    } finally {
      await before.close();
    }
    const after = await start(dataDirectory, { registry: { policy: 'gates' } });
    api = new Api(after.httpUrl, adminToken);
    const give = ({ name, version }: { name: string; version: string }) =>
      api.call('POST', '/api/v1/assignments', { devices: ['board-1'], name, version });
    try {
      const kept = await api.call('GET', `/api/v1/releases/${fp32.name}/${fp32.version}`);
      expect(kept.body).toMatchObject({ state: 'released', certifiedBy: 'default-policy', published: true });
      // The next upload writes the certificates anew.
      expect((await api.call('POST', '/api/v1/releases', int8.bytes)).body.state).toBe('candidate');
      const enrolled = await api.enroll('board-1');
      expect((await give(fp32)).status).toBe(202);
      const board = await Listener.device(enrolled);
      const trusted = await verifiedTargets(board, enrolled.tufRoot);
      const { certificate } = await fetchRelease(board, trusted, releaseTargetPath(fp32.name, fp32.version));
      expect(certificate).toMatchObject({ digest: fp32.digest, grants: [{ policy: 'default-policy', measured: {} }] });
      expect(Object.keys(trusted.certified).join()).not.toContain(int8.digest);
      await board.end();
      const refused = await give(int8);
      expect([refused.status, refused.body.code]).toEqual([409, 'RELEASE_NOT_RELEASED']);
      expect(refused.body.detail).toContain(
        `${int8.name}@${int8.version} is a candidate that nothing has measured yet`,
      );
    } finally {
      await after.close();
    }
  }, 120_000);
});
