import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { RunningServer } from '@vigie/fleet-server/main';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Behaviour, TestBoard } from './rollout-boards.js';
import {
  Api,
  changedPackage,
  dataFolder,
  dropTemplate,
  editManifest,
  holdAnswersToSchemas,
  runCli,
  start,
  until,
  zooPackage,
} from './server-fixture.js';

holdAnswersToSchemas();

const NAME = 'person-detector';
const BOARDS = 12;

let directory: string;
let server: RunningServer;
let api: Api;
const boards: TestBoard[] = [];

interface Detail {
  id: number;
  state: string;
  reason: { code: string; text: string } | null;
  totals: Record<string, number>;
  stages: { name: string; state: string; boards: number; succeeded: number; failed: number }[];
  reasons: { state: string; code: string; count: number; example: string }[];
}

async function call<T>(method: string, path: string, body?: unknown, status = 200): Promise<T> {
  const answer = await api.call(method, `/api/v1${path}`, body);
  expect(answer.status, JSON.stringify(answer.body)).toBe(status);
  return answer.body as unknown as T;
}

const show = (id: number) => call<Detail>('GET', `/rollouts/${id}`);
const reaches = (id: number, state: string) =>
  until(`rollout ${id} to be ${state}`, async () => {
    const detail = await show(id);
    return detail.state === state ? detail : null;
  });

async function version(to: string): Promise<void> {
  const bytes = await changedPackage('int8', (folder) =>
    editManifest(folder, (text) => text.replace(/^version: .*$/m, `version: ${to}`)),
  );
  expect((await api.call('POST', '/api/v1/releases', bytes)).status).toBe(201);
}

const spec = (release: string, changes: object = {}) => ({
  release: { name: NAME, version: release },
  selector: {},
  waves: [
    { name: 'canary', size: { count: 2 }, soakSeconds: 0, successShare: 1, errors: { count: 0 } },
    { name: 'half', size: { share: 0.5 }, soakSeconds: 0 },
    { name: 'all', size: { share: 1 }, soakSeconds: 0 },
  ],
  follow: false,
  ...changes,
});

function behave(release: string, behaviour: Behaviour, among = boards): void {
  for (const board of among) board.behaviours.set(release, behaviour);
}

beforeAll(async () => {
  const made = await dataFolder();
  directory = made.dataDirectory;
  server = await start(directory);
  api = new Api(server.httpUrl, made.adminToken);
  const { name } = await zooPackage('int8');
  expect(name).toBe(NAME);
  for (const one of ['10.0.0', '11.0.0', '12.0.0']) await version(one);
  const ids = Array.from({ length: BOARDS }, (_, index) => `board-${index}`);
  boards.push(...(await Promise.all(ids.map((id) => TestBoard.enroll(api, id)))));
  await Promise.all(boards.map((board) => board.connect()));
}, 240_000);

afterAll(async () => {
  await Promise.all(boards.map((board) => board.end()));
  await server?.close();
  await rm(join(directory, '..'), { recursive: true, force: true });
  await dropTemplate();
});

describe('a rollout', () => {
  it('says first which boards would come into which wave, and stores nothing', async () => {
    const tried = await call<{ waves: { name: string; devices: string[] }[] }>(
      'POST',
      '/rollouts?dryRun=true',
      spec('10.0.0'),
    );
    expect(tried.waves.map(({ name, devices }) => [name, devices.length])).toEqual([
      ['canary', 2],
      ['half', 4],
      ['all', 6],
    ]);
    expect((await call<{ items: unknown[] }>('GET', '/rollouts')).items).toEqual([]);
  });

  it('goes from the canary to half to all, each board told once, by proof only', async () => {
    const { id } = await call<Detail>('POST', '/rollouts?start=true', spec('10.0.0'), 201);
    const done = await reaches(id, 'succeeded');
    expect(done.totals).toEqual({ succeeded: BOARDS });
    expect(done.stages.map(({ boards, succeeded, state }) => [boards, succeeded, state])).toEqual([
      [2, 2, 'done'],
      [4, 4, 'done'],
      [6, 6, 'done'],
    ]);
    for (const board of boards) {
      expect([board.active?.version, board.generation]).toEqual(['10.0.0', 1]);
      for (const told of board.told.values()) expect(told.size).toBe(1);
    }
    const { items } = await call<{ items: { kind: string }[] }>('GET', `/rollouts/${id}/decisions`);
    expect(items.map(({ kind }) => kind).filter((kind) => kind.startsWith('wave'))).toEqual([
      'wave-passed',
      'wave-opened',
      'wave-passed',
      'wave-opened',
      'wave-passed',
      'wave-opened',
    ]);
  });

  it('stops at a canary that fails; its boards go back; the reason can be read', async () => {
    behave('11.0.0', { kind: 'fails', code: 'TRIAL_TOO_SLOW' });
    const { id } = await call<Detail>('POST', '/rollouts?start=true', spec('11.0.0'), 201);
    const done = await reaches(id, 'turned-back');
    expect(done.reason).toMatchObject({
      code: 'TOO_MANY_ERRORS',
      text: expect.stringContaining('boards failed, 0 may'),
    });
    expect(done.totals['turned-back']).toBe(2);
    expect(done.totals.waiting).toBe(BOARDS - 2);
    expect(done.reasons[0]).toMatchObject({
      code: 'TRIAL_TOO_SLOW',
      example: expect.stringContaining('TRIAL_TOO_SLOW on'),
    });
    expect(
      boards.filter(({ told }) => [...told.values()].some((all) => [...all].some((one) => one.includes('11.0.0')))),
    ).toHaveLength(2);
    for (const board of boards) expect(board.active?.version).toBe('10.0.0');
  });

  it('pauses, resumes, and takes a board over that somebody else assigns', async () => {
    behave('12.0.0', { kind: 'good' });
    const waves = [
      { name: 'canary', size: { count: 2 }, soakSeconds: 0 },
      { name: 'all', size: { share: 1 }, soakSeconds: 0, approval: 'anyone' },
    ];
    const { id } = await call<Detail>('POST', '/rollouts?start=true', spec('12.0.0', { waves }), 201);
    await until('the second wave to wait', async () => (await show(id)).stages[1].state === 'approval');
    const paused = await call<Detail>('POST', `/rollouts/${id}/pause`, { reason: 'lunch' });
    expect([paused.state, paused.reason?.text]).toEqual(['paused', expect.stringContaining('lunch')]);
    await call('POST', `/rollouts/${id}/approve`, {}, 409);
    const waiting = (await call<{ items: { deviceId: string }[] }>('GET', `/rollouts/${id}/devices?state=waiting`))
      .items;
    expect(waiting).toHaveLength(BOARDS - 2);
    const taken = waiting[0].deviceId;
    await call('POST', '/assignments', { devices: [taken], name: NAME, version: '11.0.0' }, 202);
    await call('POST', `/rollouts/${id}/resume`);
    await call('POST', `/rollouts/${id}/approve`);
    const done = await reaches(id, 'succeeded');
    expect(done.totals).toEqual({ succeeded: BOARDS - 1, 'taken-over': 1 });
    const told = boards.find((board) => board.id === taken)?.told ?? new Map<number, Set<string>>();
    expect([...told.values()].flatMap((all) => [...all]).some((one) => one.includes('12.0.0'))).toBe(false);
  });

  it('rehearses from what ran before', async () => {
    const found = await call<{ samples: number; waves: { seconds: object }[]; bytes: { likely: number } }>(
      'POST',
      '/rollouts/rehearse',
      spec('10.0.0'),
    );
    expect(found.samples).toBeGreaterThan(BOARDS);
    expect(found.waves[0].seconds).toMatchObject({ likely: expect.any(Number) });
  });

  it('turns a finished rollout back on demand', async () => {
    const { items } = await call<{ items: Detail[] }>('GET', '/rollouts?state=succeeded&limit=1');
    const { id } = items[0];
    await call('POST', `/rollouts/${id}/rollback`, { reason: 'misses cyclists' });
    const done = await reaches(id, 'turned-back');
    expect(done.totals).toEqual({ 'turned-back': BOARDS - 1, 'taken-over': 1 });
    for (const board of boards) expect(['10.0.0', '11.0.0']).toContain(board.active?.version);
  });

  it('refuses what cannot be meant, with a code and a way out', async () => {
    const refused = async (body: object, status: number) =>
      (await call<{ code: string }>('POST', '/rollouts', body, status)).code;
    expect(await refused(spec('99.0.0'), 404)).toBe('RELEASE_UNKNOWN');
    expect(await refused(spec('10.0.0', { waves: [{ name: 'a', size: { count: 1 } }] }), 422)).toBe('ROLLOUT_INVALID');
    expect(await refused(spec('10.0.0', { selector: { tags: ['none'] } }), 409)).toBe('ROLLOUT_WITHOUT_DEVICES');
    expect(await refused(spec('10.0.0', { colour: 'red' }), 400)).toBe('REQUEST_INVALID');
    expect((await call<{ code: string }>('GET', '/rollouts/9999', undefined, 404)).code).toBe('ROLLOUT_UNKNOWN');
    expect((await call<{ code: string }>('POST', '/rollouts/9999/pause', {}, 404)).code).toBe('ROLLOUT_UNKNOWN');
  });
});

describe('vigie rollout', () => {
  const vigie = (...args: string[]) =>
    runCli('operator-cli.js', ['--server', server.httpUrl, 'rollout', ...args], { VIGIE_TOKEN: api.token ?? '' });

  it('makes, watches and shows one', async () => {
    const tried = await vigie('create', `${NAME}@12.0.0`, '--all', '--wave', '1', '100%', '--dry-run');
    expect([tried.code, tried.stdout]).toEqual([0, expect.stringMatching(/canary +1 /)]);
    const made = await vigie(
      'create',
      `${NAME}@12.0.0`,
      '--all',
      '--wave',
      '1',
      '100%',
      '--soak',
      '0',
      '--start',
      '--no-follow',
      '--json',
    );
    expect(made.stderr).toBe('');
    const { id } = JSON.parse(made.stdout) as { id: number };
    const watched = await vigie('watch', String(id));
    expect([watched.code, watched.stdout]).toEqual([0, expect.stringContaining('succeeded')]);
    expect((await vigie('list')).stdout).toContain(`${NAME}@12.0.0`);
    const gone = await vigie('pause', String(id));
    expect([gone.code, gone.stderr]).toEqual([1, expect.stringContaining('ROLLOUT_STATE_FORBIDDEN')]);
    const vague = await vigie('create', `${NAME}@12.0.0`);
    expect([vague.code, vague.stderr]).toEqual([2, expect.stringContaining('SELECTOR_MISSING')]);
  }, 60_000);
});
