import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { RunningServer } from '@vigie/fleet-server/main';
import type { Telemetry } from '@vigie/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestBoard } from './rollout-boards.js';
import { Api, changedPackage, dataFolder, dropTemplate, editManifest, start, until } from './server-fixture.js';

const NAME = 'person-detector';
const BOARDS = 8;
const CANARY = 4;
const MINUTE_MS = 60_000;

/** What a board with this number measures; null: it says nothing. */
type Scene = (index: number, board: TestBoard) => Partial<Telemetry> | null;

interface Detail {
  id: number;
  state: string;
  reason: { code: string; text: string } | null;
  totals: Record<string, number>;
  stages: { name: string; state: string; succeeded: number }[];
}

interface Decision {
  kind: string;
  text: string;
  inputs: { gates?: { verdict: string; boards: number; interval: { estimate: number } | null; text: string }[] };
}

/**
 * Gates on what boards measure while a rollout goes: telemetry over a real broker into the rollups of a real database, and from
 * there to the decision. The server's clock is moved on; nothing waits for whole minutes.
 */
describe('live gates', () => {
  let directory: string;
  let server: RunningServer;
  let api: Api;
  let later = 0;
  const boards: TestBoard[] = [];
  const digests = new Map<string, string>();

  async function call<T>(method: string, path: string, body?: unknown, status = 200): Promise<T> {
    const answer = await api.call(method, `/api/v1${path}`, body);
    expect([answer.status, answer.body], `${method} ${path}`).toEqual([status, answer.body]);
    return answer.body as unknown as T;
  }
  const show = (id: number) => call<Detail>('GET', `/rollouts/${id}`);
  const comes = (id: number, what: string, holds: (detail: Detail) => boolean) =>
    until(
      `rollout ${id}: ${what}`,
      async () => {
        const detail = await show(id);
        return holds(detail) ? detail : null;
      },
      60_000,
    );
  const decisions = async (id: number) => (await call<{ items: Decision[] }>('GET', `/rollouts/${id}/decisions`)).items;
  /** The decision that ended the present wave, and what its gates found. */
  const judged = async (id: number) => {
    const found = (await decisions(id)).find(({ inputs }) => inputs.gates !== undefined);
    return { kind: found?.kind, text: found?.text, gates: found?.inputs.gates ?? [] };
  };

  /** One whole minute of the server in which boards measure; ends when all of it is in the database. */
  async function minute(scene: Scene): Promise<void> {
    later += MINUTE_MS;
    const from = new Date(Date.now() + later).toISOString();
    await Promise.all(
      boards.map(async (board, index) => {
        const figures = scene(index, board);
        if (figures === null) return;
        for (let count = 0; count < 2; count += 1) await board.measure(figures);
        const path = `/devices/${board.id}/telemetry?resolution=raw&from=${from}`;
        await until(
          `telemetry of ${board.id}`,
          async () => (await call<{ items: unknown[] }>('GET', path)).items.length >= 2,
          30_000,
        );
      }),
    );
  }

  const usual: Scene = (index) => ({ fps: 10 + index });
  const spec = (version: string, gates: object[]) => ({
    release: { name: NAME, version },
    selector: {},
    waves: [
      { name: 'canary', size: { count: CANARY }, soakSeconds: 90, successShare: 1, errors: { count: 0 } },
      { name: 'all', size: { share: 1 }, soakSeconds: 0, approval: 'anyone' },
    ],
    ...{ order: 'id', gates, follow: false },
  });
  /** Starts a rollout, lets the canary run it for a minute and its soak end. */
  async function canary(version: string, gates: object[], scene: Scene): Promise<number> {
    const { id } = await call<Detail>('POST', '/rollouts?start=true', spec(version, gates), 201);
    await comes(id, 'its canary to succeed', ({ stages }) => stages[0].succeeded === CANARY);
    await soaks(id);
    expect(running(version)).toBe(CANARY);
    await minute(scene);
    expect((await show(id)).stages[0].state).not.toBe('done');
    later += MINUTE_MS;
    return id;
  }
  const running = (version: string) => boards.filter(({ active }) => active?.version === version).length;
  const soaks = (id: number) => comes(id, 'the canary to soak', ({ stages }) => stages[0].state === 'soaking');
  const asks = (id: number) => comes(id, 'the next wave to wait', ({ stages }) => stages[1].state === 'approval');
  const on = (version: string, figures: (index: number) => Partial<Telemetry>): Scene => {
    return (index, board) => (board.active?.version === version ? figures(index) : usual(index, board));
  };

  beforeAll(async () => {
    const made = await dataFolder();
    directory = made.dataDirectory;
    server = await start(directory, {}, () => new Date(Date.now() + later));
    api = new Api(server.httpUrl, made.adminToken);
    for (const version of ['50.0.0', '51.0.0', '52.0.0', '53.0.0', '54.0.0', '55.0.0']) {
      const bytes = await changedPackage('int8', (folder) =>
        editManifest(folder, (text) => text.replace(/^version: .*$/m, `version: ${version}`)),
      );
      digests.set(version, (await call<{ digest: string }>('POST', '/releases', bytes, 201)).digest);
    }
    const ids = Array.from({ length: BOARDS }, (_, index) => `board-${index}`);
    for (const id of ids) boards.push(await TestBoard.enroll(api, id));
    await Promise.all(boards.map((board) => board.connect()));
    await call('POST', '/assignments', { devices: ids, name: NAME, version: '50.0.0' }, 202);
    await until('all boards to run the first release', () => running('50.0.0') === BOARDS);
    await minute(usual);
  }, 240_000);
  afterAll(async () => {
    await Promise.all(boards.map((board) => board.end()));
    await server?.close();
    await rm(join(directory, '..'), { recursive: true, force: true });
    await dropTemplate();
  });

  const fps = { metric: 'fps', of: 'ratio', min: 0.9, minDevices: CANARY };
  const slower = (share: number) => (index: number) => ({ fps: (10 + index) * share * (1 + (index % 2) / 100) });

  it('let a wave pass that holds them, each board against itself', { timeout: 120_000 }, async () => {
    const cool = { metric: 'temperatureC', of: 'value', max: 70 };
    const id = await canary('51.0.0', [fps, cool], on('51.0.0', slower(0.97)));
    await asks(id);
    const { kind, gates } = await judged(id);
    expect([kind, gates.map(({ verdict, boards: count }) => [verdict, count])]).toEqual([
      'wave-passed',
      [
        ['pass', CANARY],
        ['pass', CANARY],
      ],
    ]);
    // 0.97 and 0.97 × 1.01 by turns, whatever the boards' own speed.
    expect(gates[0].interval?.estimate).toBeCloseTo(0.97 * Math.sqrt(1.01), 4);
    await call('POST', `/rollouts/${id}/abort`, { reason: 'the test has seen enough' });
  });

  it('turn the release back when boards got slower, tell nobody else, and say by how much', {
    timeout: 120_000,
  }, async () => {
    const id = await canary('52.0.0', [fps], on('52.0.0', slower(0.5)));
    const done = await comes(id, 'to turn back', ({ state }) => state === 'turned-back');
    expect(done.reason?.code).toBe('GATE_FAILED');
    // Before was the release that ran then (0.97), not what ran in the same hour before that one.
    const ratio = ((0.5 * Math.sqrt(1.01)) / (0.97 * Math.sqrt(1.01))).toFixed(3);
    expect(done.reason?.text).toMatch(`fps after / before: ${ratio} `);
    expect(done.reason?.text).toMatch(/at 95 %\) on 4 boards, at least 0\.9$/);
    expect([done.totals['turned-back'], done.totals.waiting]).toEqual([CANARY, BOARDS - CANARY]);
    expect([running('52.0.0'), running('51.0.0')]).toEqual([0, CANARY]);
    expect((await judged(id)).gates).toMatchObject([{ verdict: 'fail', boards: CANARY }]);
  });

  it('judge latency and heat by their own bounds', { timeout: 120_000 }, async () => {
    const late = { metric: 'latencyMs.p95', of: 'value', max: 100 };
    const hot = { metric: 'temperatureC', of: 'value', max: 70 };
    const figures = (index: number) => ({
      ...{ fps: 10 + index, temperatureC: 80 + index },
      latencyMs: { total: { p50: 50, p95: 70 + index, p99: 90 } },
    });
    const id = await canary('53.0.0', [late, hot], on('53.0.0', figures));
    const done = await comes(id, 'to turn back', ({ state }) => state === 'turned-back');
    expect(done.reason).toMatchObject({ code: 'GATE_FAILED', text: expect.stringMatching(/^temperatureC: 81\.5 \(/) });
    expect((await judged(id)).gates.map(({ verdict }) => verdict)).toEqual(['pass', 'fail']);
  });

  it('stop and ask where too few boards say anything; an operator may take the wave', {
    timeout: 120_000,
  }, async () => {
    // Two of the canary are silent, and one still speaks of the model it ran before.
    const id = await canary('54.0.0', [fps], (index, board) => {
      if (board.active?.version !== '54.0.0') return usual(index, board);
      if (index < 2) return null;
      return index === 2 ? { fps: 12, modelDigest: digests.get('51.0.0') } : { fps: 13 };
    });
    const paused = await comes(id, 'to pause', ({ state }) => state === 'paused');
    expect(paused.reason?.code).toBe('GATE_INCONCLUSIVE');
    expect(paused.reason?.text).toContain('fps after / before: 1 boards have figures, 4 are needed');
    expect(running('54.0.0')).toBe(CANARY);
    await call('POST', `/rollouts/${id}/resume`, { accept: true });
    // Its soak begins anew.
    await soaks(id);
    later += 2 * MINUTE_MS;
    await asks(id);
    await call('POST', `/rollouts/${id}/rollback`, { reason: 'the test has seen enough' });
    await comes(id, 'to turn back', ({ state }) => state === 'turned-back');
  });

  it('ask, too, where boards disagree so much that the interval holds the bound', { timeout: 120_000 }, async () => {
    const torn = (index: number) => ({ fps: (10 + index) * [0.5, 1.3, 0.7, 1.2][index] });
    const id = await canary('55.0.0', [fps], on('55.0.0', torn));
    const paused = await comes(id, 'to pause', ({ state }) => state === 'paused');
    expect(paused.reason?.code).toBe('GATE_INCONCLUSIVE');
    expect((await judged(id)).gates).toMatchObject([{ verdict: 'inconclusive', boards: CANARY }]);
    await call('POST', `/rollouts/${id}/rollback`, { reason: 'the test has seen enough' });
    await comes(id, 'to turn back', ({ state }) => state === 'turned-back');
  });
});
