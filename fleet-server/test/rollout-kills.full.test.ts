import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { seededRandom } from '@vigie/protocol';
import { afterAll, describe, expect, it } from 'vitest';
import { TestBoard } from './rollout-boards.js';
import { Api, changedPackage, dataFolder, dropTemplate, editManifest, spawnServer, until } from './server-fixture.js';

const NAME = 'person-detector';
const VERSIONS = ['20.0.0', '21.0.0', '22.0.0'];
const BOARDS = 10;

afterAll(dropTemplate);

interface Detail {
  id: number;
  state: string;
  totals: Record<string, number>;
}

describe('SIGKILL of the server in the middle of rollouts', () => {
  it('loses no step and does none twice', { timeout: 900_000 }, async () => {
    const { dataDirectory, adminToken } = await dataFolder();
    let server = await spawnServer(dataDirectory);
    const api = () => new Api(server.http, adminToken);
    for (const version of VERSIONS) {
      const bytes = await changedPackage('int8', (folder) =>
        editManifest(folder, (text) => text.replace(/^version: .*$/m, `version: ${version}`)),
      );
      expect((await api().call('POST', '/api/v1/releases', bytes)).status).toBe(201);
    }
    const boards: TestBoard[] = [];
    for (let index = 0; index < BOARDS; index += 1) boards.push(await TestBoard.enroll(api(), `board-${index}`));
    // The third release fails on every board: its rollout has to turn back over the kills.
    for (const board of boards) board.behaviours.set('22.0.0', { kind: 'fails', code: 'GOLDEN_MISMATCH' });
    await Promise.all(boards.map((board) => board.connect(server.mqtts)));
    const random = seededRandom(5);
    let kills = 0;
    for (const version of VERSIONS) {
      const body = {
        release: { name: NAME, version },
        selector: {},
        ...{ concurrency: 2, follow: false },
        waves: [
          { name: 'canary', size: { count: 1 }, soakSeconds: 1, errors: { count: 0 } },
          // After a start of the server all boards are away for a moment: the wave has to wait for every one of them.
          { name: 'all', size: { share: 1 }, soakSeconds: 1, successShare: 0, minReachedShare: 1 },
        ],
      };
      const made = await api().call('POST', '/api/v1/rollouts?start=true', body);
      expect(made.status, JSON.stringify(made.body)).toBe(201);
      const { id } = made.body as unknown as Detail;
      const show = async () => (await api().call('GET', `/api/v1/rollouts/${id}`)).body as unknown as Detail;
      const ended = (state: string) => ['succeeded', 'turned-back'].includes(state);
      for (let round = 0; round < 2 && !ended((await show()).state); round += 1) {
        await new Promise((resolve) => setTimeout(resolve, 50 + random() * 1500));
        await server.kill('SIGKILL');
        kills += 1;
        await Promise.all(boards.map((board) => board.drop()));
        server = await spawnServer(dataDirectory);
        await Promise.all(boards.map((board) => board.connect(server.mqtts)));
      }
      let last = '';
      const done = await until(
        `${version} to end`,
        async () => {
          const one = await show();
          last = JSON.stringify(one).slice(0, 3000);
          return ended(one.state) ? one : null;
        },
        180_000,
      ).catch((error: Error) => {
        throw new Error(`${error.message}: ${last}`);
      });
      if (version === '22.0.0') {
        expect(done.state).toBe('turned-back');
        expect(boards.map((board) => board.active?.version)).toEqual(boards.map(() => '21.0.0'));
      } else {
        expect([done.state, done.totals]).toEqual(['succeeded', { succeeded: BOARDS }]);
      }
      const { items } = (await api().call('GET', `/api/v1/rollouts/${id}/decisions?limit=1000`)).body as unknown as {
        items: { kind: string; revision: number; inputs: { devices?: { device: string; generation: number }[] } }[];
      };
      // Each step once: no revision decides the same thing twice, no board is given a generation twice.
      const words = items.flatMap(({ kind, inputs }) =>
        kind === 'offered' || kind === 'restored'
          ? (inputs.devices ?? []).map((one) => `${one.device}#${one.generation}`)
          : [],
      );
      expect(new Set(words).size).toBe(words.length);
      const once = items.filter(({ kind }) => ['started', 'planned', 'ended', 'wave-passed'].includes(kind));
      expect(new Set(once.map(({ kind, revision }) => `${kind}/${revision}`)).size).toBe(once.length);
      expect(items.filter(({ kind }) => kind === 'planned')).toHaveLength(1);
      expect(items.filter(({ kind }) => kind === 'ended')).toHaveLength(1);
    }
    for (const board of boards) {
      for (const [generation, told] of board.told)
        expect([board.id, generation, told.size]).toEqual([board.id, generation, 1]);
    }
    expect(kills, 'no kill met a rollout under way').toBeGreaterThan(2);
    await Promise.all(boards.map((board) => board.end()));
    await server.kill('SIGTERM');
    await rm(join(dataDirectory, '..'), { recursive: true, force: true });
  });
});
