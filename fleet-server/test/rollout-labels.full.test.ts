import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RunningServer } from '@vigie/fleet-server/main';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestBoard } from './rollout-boards.js';
import { Api, changedPackage, dataFolder, dropTemplate, editManifest, start, until } from './server-fixture.js';

const NAME = 'person-detector';
/** Its package calls the class "human": a rule that names "person" would fall silent. */
const RENAMED = '41.0.0';

let directory: string;
let server: RunningServer;
let api: Api;
const boards: TestBoard[] = [];

async function call<T>(method: string, path: string, body?: unknown, status = 200): Promise<T> {
  const answer = await api.call(method, `/api/v1${path}`, body);
  expect(answer.status, JSON.stringify(answer.body)).toBe(status);
  return answer.body as unknown as T;
}

const spec = (changes: object = {}) => ({
  ...{ release: { name: NAME, version: RENAMED }, selector: { devices: boards.map(({ id }) => id) } },
  waves: [{ name: 'all', size: { share: 1 }, soakSeconds: 0 }],
  ...{ follow: false, ...changes },
});
const ended = (id: number) =>
  until(`rollout ${id} to end`, async () => {
    const rollout = await call<{ state: string; totals: object; reasons: object[] }>('GET', `/rollouts/${id}`);
    return rollout.state === 'succeeded' ? rollout : null;
  });
const toldOf = (board: TestBoard) => [...board.told.values()].flatMap((all) => [...all]).join();

beforeAll(async () => {
  const made = await dataFolder();
  directory = made.dataDirectory;
  server = await start(directory);
  api = new Api(server.httpUrl, made.adminToken);
  const bytes = await changedPackage('int8', async (folder) => {
    await writeFile(join(folder, 'labels.txt'), 'human\n');
    await editManifest(folder, (text) =>
      text.replace(/^version: .*$/m, `version: ${RENAMED}`).replaceAll('label: person', 'label: human'),
    );
  });
  const uploaded = await api.call('POST', '/api/v1/releases', bytes);
  expect(uploaded.status, JSON.stringify(uploaded.body)).toBe(201);
  for (const id of ['yard-1', 'yard-2', 'shop-1']) boards.push(await TestBoard.enroll(api, id));
  await Promise.all(boards.map((board) => board.connect()));
}, 240_000);

afterAll(async () => {
  await Promise.all(boards.map((board) => board.end()));
  await server?.close();
  await rm(join(directory, '..'), { recursive: true, force: true });
  await dropTemplate();
});

describe('a rollout of a release that lacks a label which rules need', { timeout: 120_000 }, () => {
  const yard = { configuration: { labels: ['person'], rules: [{ name: 'yard', labels: ['person'] }] } };

  it('is refused with the boards and the label, for a rule of a board as for one of a group', async () => {
    await call('PATCH', '/devices/yard-1', { tags: ['yard'] });
    await call('PUT', '/groups/yards', { selector: { tags: ['yard'] } });
    await call('PUT', '/groups/yards/configuration', yard);
    await until('the rule of the group to reach its board', () => toldOf(boards[0]).includes('"yard"'));
    await call('PUT', '/devices/yard-2/configuration', yard);
    for (const path of ['/rollouts', '/rollouts?dryRun=true', '/rollouts/rehearse']) {
      const refused = await call<{ code: string; detail: string }>('POST', path, spec(), 409);
      expect(refused.code).toBe('LABELS_MISSING');
      expect(refused.detail).toContain(`${NAME}@${RENAMED} does not know "person" (yard-1, yard-2)`);
    }
    expect((await call<{ items: object[] }>('GET', '/rollouts')).items).toEqual([]);
    // Boards without such a rule may have it.
    await call('POST', '/rollouts?dryRun=true', spec({ selector: { devices: ['shop-1'] } }));
  });

  it('leaves a board out that gets such a rule while it runs', async () => {
    const waves = [
      { name: 'canary', size: { count: 1 }, soakSeconds: 0 },
      { name: 'all', size: { share: 1 }, soakSeconds: 0, approval: 'anyone' },
    ];
    await call('DELETE', '/devices/yard-2/configuration');
    const selector = { devices: ['shop-1', 'yard-2'] };
    const body = spec({ waves, selector, order: 'listed' });
    const { id } = await call<{ id: number }>('POST', '/rollouts?start=true', body, 201);
    await until('the second wave to wait', async () => {
      const { stages } = await call<{ stages: { state: string }[] }>('GET', `/rollouts/${id}`);
      return stages[1].state === 'approval';
    });
    await call('PUT', '/devices/yard-2/configuration', yard);
    await call('POST', `/rollouts/${id}/approve`);
    const done = await ended(id);
    expect(done.totals).toEqual({ succeeded: 1, left: 1 });
    expect(done.reasons).toMatchObject([
      { state: 'left', code: 'LABELS_MISSING', example: expect.stringContaining('does not know "person"') },
    ]);
    expect(toldOf(boards[1])).not.toContain(RENAMED);
    expect(toldOf(boards[2])).toContain(RENAMED);
  });

  it('goes on with a reason, which the decisions, the activity log and the audit log name', async () => {
    await call('POST', '/rollouts', spec({ overrideLabels: {} }), 400);
    const overrideLabels = { reason: 'the rules follow on Monday' };
    const { id } = await call<{ id: number }>('POST', '/rollouts?start=true', spec({ overrideLabels }), 201);
    expect((await ended(id)).totals).toEqual({ succeeded: 2, already: 1 });
    for (const board of boards) expect(board.active?.version).toBe(RENAMED);

    const { items } = await call<{ items: object[] }>('GET', `/rollouts/${id}/decisions?kind=created`);
    expect(items).toMatchObject([
      {
        actor: 'first admin',
        inputs: {
          spec: { overrideLabels },
          missingLabels: [{ missing: [{ label: 'person', devices: ['yard-1', 'yard-2'] }] }],
        },
      },
    ]);
    const activity = await call<{ items: object[] }>('GET', '/activity?kinds=release.labels-overridden');
    expect(activity.items).toMatchObject([
      { subject: `${NAME}@${RENAMED}`, actor: 'first admin', body: overrideLabels },
    ]);
    const audit = await call<{ items: { entry: { action: string; details: object } }[] }>('GET', '/audit?limit=200');
    const made = audit.items.filter(({ entry }) => entry.action === 'POST /api/v1/rollouts');
    expect(made.map(({ entry }) => entry)).toContainEqual(
      expect.objectContaining({
        ...{ actor: 'first admin', subject: `${NAME}@${RENAMED}`, outcome: 'done' },
        details: expect.objectContaining({ overrideLabels: overrideLabels.reason }),
      }),
    );
  });
});
