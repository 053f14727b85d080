import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { RunningServer } from '@vigie/fleet-server/main';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Behaviour, TestBoard } from './rollout-boards.js';
import { Api, changedPackage, dataFolder, dropTemplate, editManifest, start, until } from './server-fixture.js';

const NAME = 'person-detector';
const VERSIONS = ['50.0.0', '51.0.0', '52.0.0', '53.0.0'];
const HOUR = 3_600_000;

interface Detail {
  id: number;
  state: string;
  phase: string;
  startAt: string | null;
  reason: { code: string; text: string } | null;
  totals: Record<string, number>;
  stages: { state: string }[];
  reasons: { state: string; code: string }[];
}

let directory: string;
let server: RunningServer;
let token: string;
/** Added to the server's clock, ms. */
let later = 0;
const boards: TestBoard[] = [];

async function callAs<T>(who: string, method: string, path: string, body?: unknown, status = 200): Promise<T> {
  const answer = await new Api(server.httpUrl, who).call(method, `/api/v1${path}`, body);
  expect(answer.status, `${method} ${path} ${JSON.stringify(answer.body)}`).toBe(status);
  return answer.body as unknown as T;
}
const call = <T>(method: string, path: string, body?: unknown, status = 200) =>
  callAs<T>(token, method, path, body, status);

const spec = (version: string, who: readonly TestBoard[], changes: object = {}) => ({
  ...{ release: { name: NAME, version }, selector: { devices: who.map(({ id }) => id) }, order: 'listed' },
  waves: [{ name: 'all', size: { share: 1 }, soakSeconds: 0, errors: { count: 0 } }],
  ...{ follow: false, ...changes },
});
const begin = async (body: object) => (await call<Detail>('POST', '/rollouts?start=true', body, 201)).id;
const show = (id: number) => call<Detail>('GET', `/rollouts/${id}`);
const reaches = (id: number, what: string, holds: (one: Detail) => boolean) =>
  until(
    `rollout ${id}: ${what}`,
    async () => {
      const one = await show(id);
      return holds(one) ? one : null;
    },
    60_000,
  );
const ends = (id: number, state = 'succeeded') => reaches(id, state, (one) => one.state === state);
const heard = (board: TestBoard, version: string) =>
  [...board.told.values()].some((all) => [...all].some((one) => one.includes(`"${version}"`)));
const versions = (who: readonly TestBoard[]) => who.map(({ active }) => active?.version);
const behave = (version: string, behaviour: Behaviour, ...who: TestBoard[]) => {
  for (const board of who) board.behaviours.set(version, behaviour);
};

beforeAll(async () => {
  const made = await dataFolder();
  directory = made.dataDirectory;
  token = made.adminToken;
  server = await start(directory, {}, () => new Date(Date.now() + later));
  for (const version of VERSIONS) {
    const bytes = await changedPackage('int8', (folder) =>
      editManifest(folder, (text) => text.replace(/^version: .*$/m, `version: ${version}`)),
    );
    await call('POST', '/releases', bytes, 201);
  }
  const api = new Api(server.httpUrl, token);
  for (let index = 0; index < 6; index += 1) boards.push(await TestBoard.enroll(api, `board-${index}`));
  await Promise.all(boards.map((board) => board.connect()));
}, 240_000);

afterAll(async () => {
  await Promise.all(boards.map((board) => board.end()));
  await server?.close();
  await rm(join(directory, '..'), { recursive: true, force: true });
  await dropTemplate();
});

describe('a rollout', { timeout: 120_000 }, () => {
  it('starts by itself when its cron line says so, and not before', async () => {
    const body = spec('50.0.0', boards, { schedule: { cron: '30 * * * *', timeZone: 'Europe/Paris' } });
    const made = await call<Detail>('POST', '/rollouts', body, 201);
    expect(made.state).toBe('scheduled');
    const startAt = Date.parse(made.startAt ?? '');
    expect([new Date(startAt).getUTCMinutes(), startAt > Date.now() + later]).toEqual([30, true]);
    // A newer one that may start now is done in the meantime, and has its board; the scheduled one stands.
    await ends(await begin(spec('50.0.0', [boards[5]])));
    expect((await show(made.id)).state).toBe('scheduled');
    later += startAt - (Date.now() + later) + 1000;
    expect((await ends(made.id)).totals).toEqual({ succeeded: 5 });
    expect(versions(boards)).toEqual(boards.map(() => '50.0.0'));
  });

  it('tells no board that is offline; it comes when it is back, as do boards that match later; until too many fail', async () => {
    const [here, away, tagged, failing] = boards;
    for (const { id } of [here, away]) await call('PATCH', `/devices/${id}`, { tags: ['north'] });
    await away.drop();
    await until('the board to be offline', async () => {
      const { presence } = await call<{ presence: { online: boolean } | null }>('GET', `/devices/${away.id}`);
      return presence?.online === false;
    });
    const id = await begin(spec('51.0.0', [], { selector: { tags: ['north'] }, order: 'hash', follow: true }));
    expect(await ends(id)).toMatchObject({ phase: 'following', totals: { succeeded: 1, unreachable: 1 } });
    await away.connect();
    await reaches(id, 'the board that was away to have it', ({ totals }) => totals.succeeded === 2);
    await call('PATCH', `/devices/${tagged.id}`, { tags: ['north'] });
    later += 10_000;
    await reaches(id, 'the board that came to match to have it', ({ totals }) => totals.succeeded === 3);
    expect(versions(boards.slice(0, 4))).toEqual(['51.0.0', '51.0.0', '51.0.0', '50.0.0']);
    behave('51.0.0', { kind: 'fails', code: 'GOLDEN_MISMATCH' }, failing);
    await call('PATCH', `/devices/${failing.id}`, { tags: ['north'] });
    later += 10_000;
    const over = await reaches(id, 'to follow no more', ({ phase }) => phase === 'ended');
    expect([over.state, over.reason?.code]).toEqual(['succeeded', 'TOO_MANY_ERRORS']);
    await call('PATCH', `/devices/${boards[4].id}`, { tags: ['north'] });
    later += 10_000;
    await ends(await begin(spec('50.0.0', [boards[5]])));
    expect(heard(boards[4], '51.0.0')).toBe(false);
  });

  it('leaves boards to a newer one that means them, too', async () => {
    const waves = [
      { name: 'canary', size: { count: 1 }, soakSeconds: 0 },
      { name: 'all', size: { share: 1 }, soakSeconds: 0, approval: 'anyone' },
    ];
    const older = await begin(spec('52.0.0', boards, { waves }));
    await reaches(older, 'the second wave to wait', ({ stages }) => stages[1].state === 'approval');
    const [, , , , ...both] = boards;
    expect((await ends(await begin(spec('53.0.0', both)))).totals).toEqual({ succeeded: 2 });
    await call('POST', `/rollouts/${older}/approve`);
    const done = await ends(older);
    expect(done.totals).toEqual({ succeeded: 4, 'taken-over': 2 });
    expect(done.reasons).toMatchObject([{ state: 'taken-over', code: 'ANOTHER_ROLLOUT' }]);
    for (const board of both) expect([board.active?.version, heard(board, '52.0.0')]).toEqual(['53.0.0', false]);
    // Turning the older one back is no business of theirs either.
    await call('POST', `/rollouts/${older}/rollback`);
    await ends(older, 'turned-back');
    expect(versions(both)).toEqual(['53.0.0', '53.0.0']);
    // What each ran before; not what was wanted of the fourth and failed there.
    expect(versions(boards.slice(0, 4))).toEqual(['51.0.0', '51.0.0', '51.0.0', '50.0.0']);
  });

  it('tells boards in the maintenance window of their own clocks', async () => {
    const [east, west] = boards;
    await call('PATCH', `/devices/${east.id}`, { timeZone: 'Etc/GMT-2' });
    const clock = (hours: number) => new Date(Date.now() + later + hours * HOUR).toISOString().slice(11, 16);
    // Two hours from now by UTC is now where it is two hours later.
    const windows = [{ from: clock(2), to: clock(3) }];
    const id = await begin(spec('53.0.0', [west, east], { windows }));
    await reaches(id, 'the board in the east to have it', ({ totals }) => totals.succeeded === 1);
    expect([east.active?.version, heard(west, '53.0.0')]).toEqual(['53.0.0', false]);
    later += 2 * HOUR;
    expect((await ends(id)).totals).toEqual({ succeeded: 2 });
    expect(west.active?.version).toBe('53.0.0');
  });

  it('that is aborted tells boards at work to stay with what they ran, and no others', async () => {
    const [stuck, next] = boards.slice(4);
    behave('51.0.0', { kind: 'stuck' }, stuck);
    const id = await begin(spec('51.0.0', [stuck, next], { concurrency: 1 }));
    await reaches(id, 'a board to be at work', ({ totals }) => totals['in-progress'] === 1);
    await call('POST', `/rollouts/${id}/abort`, { reason: 'wrong lens' });
    const done = await ends(id, 'aborted');
    expect(done.reason?.text).toContain('wrong lens');
    expect(done.totals).toEqual({ waiting: 2 });
    await until('the board to hear of it', () =>
      [...(stuck.told.get(stuck.generation) ?? [])].join().includes('53.0.0'),
    );
    expect([stuck.active?.version, heard(next, '51.0.0')]).toEqual(['53.0.0', false]);
    await call('POST', `/rollouts/${id}/resume`, {}, 409);
  });

  it('opens a wave only for a second person where that is asked for', async () => {
    const waves = [{ name: 'all', size: { share: 1 }, soakSeconds: 0, approval: 'second-person' }];
    const id = await begin(spec('52.0.0', [boards[4]], { waves }));
    await reaches(id, 'to wait', ({ phase }) => phase === 'approval');
    const refused = await call<{ code: string }>('POST', `/rollouts/${id}/approve`, {}, 403);
    expect(refused.code).toBe('APPROVAL_NEEDS_ANOTHER');
    const second = await call<{ token: string }>('POST', '/tokens', { name: 'bob', role: 'operator' }, 201);
    await callAs(second.token, 'POST', `/rollouts/${id}/approve`, { reason: 'seen it run' });
    await ends(id);
    const { items } = await call<{ items: object[] }>('GET', `/rollouts/${id}/decisions?kind=approved`);
    expect(items).toMatchObject([{ actor: 'bob', text: 'wave "all" approved by bob: seen it run' }]);
  });

  it('without autoRollback only stops and asks; retry tells the boards again that failed', async () => {
    const [failing, next] = boards.slice(4);
    behave('50.0.0', { kind: 'fails', code: 'TRIAL_TOO_SLOW' }, failing);
    const id = await begin(spec('50.0.0', [failing, next], { autoRollback: false, concurrency: 1 }));
    const asks = await ends(id, 'paused');
    expect([asks.reason?.code, asks.totals]).toEqual(['TOO_MANY_ERRORS', { failed: 1, waiting: 1 }]);
    expect(heard(next, '50.0.0') && next.active?.version === '50.0.0').toBe(false);
    behave('50.0.0', { kind: 'good' }, failing);
    await call('POST', `/rollouts/${id}/retry`);
    expect((await ends(id)).totals).toEqual({ succeeded: 2 });
    expect(JSON.parse([...(failing.told.get(failing.generation) ?? [])][0])).toMatchObject({ retry: true });
  });

  it('stops where its release is withdrawn', async () => {
    const waves = [
      { name: 'canary', size: { count: 1 }, soakSeconds: 0 },
      { name: 'all', size: { share: 1 }, soakSeconds: 0, approval: 'anyone' },
    ];
    const id = await begin(spec('53.0.0', boards.slice(4), { waves }));
    await reaches(id, 'the second wave to wait', ({ stages }) => stages[1].state === 'approval');
    await call('POST', `/releases/${NAME}/53.0.0/withdraw`, { reason: 'misses cyclists' });
    expect((await ends(id, 'paused')).reason?.code).toBe('RELEASE_UNAVAILABLE');
    expect(boards[5].active?.version).toBe('50.0.0');
  });
});
