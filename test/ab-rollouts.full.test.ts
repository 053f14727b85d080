import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Precision } from '@vigie/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { QUICK_TIMING } from '../benchmarks/src/fleet/sim/behaviour.js';
import { boardIds, enrollBoards } from '../benchmarks/src/fleet/sim/enroll-boards.js';
import { SimulatedFleet } from '../benchmarks/src/fleet/sim/simulated-fleet.js';
import {
  Api,
  changedPackage,
  dataFolder,
  dropTemplate,
  editManifest,
  start,
  until,
} from '../fleet-server/test/server-fixture.js';

const NAME = 'person-detector';
const BOARDS = 20;
const MINUTE_MS = 60_000;

interface Decision {
  kind: string;
  actor: string;
  text: string;
  inputs: Record<string, never>;
}

interface Rollout {
  id: number;
  state: string;
  phase: string;
  reason: { code: string; text: string } | null;
  totals: Record<string, number>;
  cohorts: { winner: string | null };
}

/**
 * Two releases beside each other, on boards whose line, signatures and telemetry are real and whose frames per second follow
 * from the precision of what they run: FP32 4.8, INT8 12.6. Only the server's clock is moved, so that minutes pass.
 */
describe('A/B', { timeout: 120_000 }, () => {
  let close = async () => {};
  let fleet: SimulatedFleet;
  const apis = new Map<string, Api>();
  const digests = new Map<string, string>();
  /** Added to the server's clock, ms. */
  let later = 0;

  async function call<T>(role: string, method: string, path: string, body?: unknown, status = 200): Promise<T> {
    const answer = await apis.get(role)!.call(method, `/api/v1${path}`, body);
    expect([answer.status, answer.body], `${method} ${path}`).toEqual([status, answer.body]);
    return answer.body as unknown as T;
  }
  const show = (id: number) => call<Rollout>('viewer', 'GET', `/rollouts/${id}`);
  const decisions = async (id: number, kind: string) =>
    (await call<{ items: Decision[] }>('viewer', 'GET', `/rollouts/${id}/decisions?kind=${kind}`)).items;
  const reaches = (id: number, what: string, holds: (rollout: Rollout) => boolean) =>
    until(
      `rollout ${id} to be ${what}`,
      async () => {
        const rollout = await show(id);
        return holds(rollout) ? rollout : null;
      },
      60_000,
    );

  async function upload(precision: Precision & ('fp32' | 'int8'), version: string): Promise<void> {
    const bytes = await changedPackage(precision, (folder) =>
      editManifest(folder, (text) => text.replace(/^version: .*$/m, `version: ${version}`)),
    );
    digests.set(version, (await call<{ digest: string }>('publisher', 'POST', '/releases', bytes, 201)).digest);
  }

  /** A whole minute of the server's clock in which every board says what it measures with what it runs. */
  async function minuteOfTelemetry(): Promise<void> {
    later += MINUTE_MS;
    const from = new Date(Date.now() + later);
    await Promise.all(
      fleet.boards.map((board) =>
        until(`telemetry of ${board.deviceId}`, async () => {
          const query = `resolution=raw&from=${from.toISOString()}`;
          const path = `/devices/${board.deviceId}/telemetry?${query}`;
          const { items } = await call<{ items: { body?: { modelDigest: string }; modelDigest?: string }[] }>(
            'viewer',
            'GET',
            path,
          );
          return items.length >= 2;
        }),
      ),
    );
  }

  const comparison = (version: string, changes: object = {}) => ({
    ...{ release: { name: NAME, version }, metric: 'fps', better: 'higher', seconds: 120 },
    ...{ confidence: 0.999, minDevices: 4, ...changes },
  });
  const spec = (version: string, changes: object) => ({
    ...{ release: { name: NAME, version }, selector: {}, follow: false, salt: 'ab' },
    waves: [{ name: 'all', size: { share: 1 }, soakSeconds: 0 }],
    ...changes,
  });

  beforeAll(async () => {
    const { dataDirectory, adminToken } = await dataFolder();
    const server = await start(dataDirectory, {}, () => new Date(Date.now() + later));
    close = async () => {
      await fleet?.stop();
      await server.close();
      await rm(join(dataDirectory, '..'), { recursive: true, force: true });
      await dropTemplate();
    };
    apis.set('admin', new Api(server.httpUrl, adminToken));
    for (const role of ['publisher', 'operator', 'viewer']) {
      const { token } = await call<{ token: string }>('admin', 'POST', '/tokens', { name: `the ${role}`, role }, 201);
      apis.set(role, new Api(server.httpUrl, token));
    }
    await upload('fp32', '30.0.0');
    await upload('fp32', '31.0.0');
    for (const version of ['32.0.0', '33.0.0', '34.0.0']) await upload('int8', version);
    const identities = await enrollBoards({
      ...{ httpsUrl: server.httpsUrl, authority: server.authority, deviceIds: boardIds(BOARDS) },
      token: async () => (await call<{ token: string }>('operator', 'POST', '/enrollment-tokens', {}, 201)).token,
      hardwareClass: () => 'rpi5-8g',
    });
    const release = { name: NAME, version: '30.0.0', digest: digests.get('30.0.0')! };
    fleet = new SimulatedFleet({
      ...{ identities, timing: { ...QUICK_TIMING, telemetryMs: 250 } },
      model: { release, precision: 'fp32' },
    });
    await fleet.start();
    await fleet.connected();
    await minuteOfTelemetry();
  }, 240_000);
  afterAll(() => close(), 60_000);

  const runs = (version: string) => expect(fleet.tally().running).toEqual({ [digests.get(version)!]: BOARDS });

  it('gives each arm its own release, measures, and brings the better one to all boards', async () => {
    const wanted = spec('31.0.0', { comparison: comparison('32.0.0') });
    const { other } = await call<{ other: string[] }>('operator', 'POST', '/rollouts?dryRun=true', wanted);
    expect(other.length).toBeGreaterThanOrEqual(4);
    expect(BOARDS - other.length).toBeGreaterThanOrEqual(4);
    const { id } = await call<Rollout>('operator', 'POST', '/rollouts?start=true', wanted, 201);
    await reaches(id, 'comparing', ({ phase }) => phase === 'comparing');
    const arms = fleet.tally().running;
    expect(arms).toEqual({ [digests.get('31.0.0')!]: BOARDS - other.length, [digests.get('32.0.0')!]: other.length });
    for (const device of other) expect(fleet.board(device).running?.version).toBe('32.0.0');
    await minuteOfTelemetry();
    expect((await decisions(id, 'compared')).length).toBe(0);
    later += 2 * MINUTE_MS;
    const done = await reaches(id, 'succeeded', ({ state }) => state === 'succeeded');
    expect([done.totals, done.cohorts.winner]).toEqual([{ succeeded: BOARDS }, 'B']);
    runs('32.0.0');
    const [{ actor, text, inputs }] = await decisions(id, 'compared');
    expect(actor).toBe('system');
    expect(text).toMatch(/^fps: B \/ A = 2\.[56]\d* \(.* at 99.9 % on .* boards: B wins$/);
    expect(inputs).toMatchObject({
      ...{ winner: 'B', paired: true, boards: { A: BOARDS - other.length, B: other.length } },
      difference: { low: expect.any(Number), high: expect.any(Number) },
    });
    expect(await decisions(id, 'promoting')).toMatchObject([{ actor: 'system', inputs: { winner: 'B' } }]);

    // The decision that it is the champion from now on: who, why, and the figures of what it was weighed against.
    const decision = {
      ...{ name: NAME, version: '32.0.0', alias: 'champion', reason: `rollout ${id}: ${text}` },
      compared: [{ name: NAME, version: '31.0.0' }],
    };
    await call('operator', 'POST', '/promotions', decision, 403);
    await call('publisher', 'POST', '/promotions', decision, 201);
    const { items } = await call<{ items: object[] }>('viewer', 'GET', `/promotions?name=${NAME}`);
    expect(items).toMatchObject([
      {
        ...{ version: '32.0.0', actor: 'the publisher', reason: expect.stringContaining('B wins') },
        compared: [
          { version: '32.0.0', figures: expect.any(Object) },
          { version: '31.0.0', figures: expect.any(Object) },
        ],
      },
    ]);
    for (const one of (items[0] as { compared: { figures: object }[] }).compared)
      expect(Object.keys(one.figures).length).toBeGreaterThan(0);
    const { items: models } = await call<{ items: object[] }>('viewer', 'GET', '/models');
    expect(models).toMatchObject([{ name: NAME, champion: { version: '32.0.0' } }]);
  });

  it('asks where there is no difference that can be told, and takes the word of an operator', async () => {
    const wanted = spec('33.0.0', { comparison: comparison('34.0.0') });
    const { id } = await call<Rollout>('operator', 'POST', '/rollouts?start=true', wanted, 201);
    await reaches(id, 'comparing', ({ phase }) => phase === 'comparing');
    await minuteOfTelemetry();
    later += 2 * MINUTE_MS;
    const asks = await reaches(id, 'paused', ({ state }) => state === 'paused');
    expect(asks.reason).toMatchObject({ code: 'COMPARISON_INCONCLUSIVE' });
    expect(asks.reason?.text).toContain('no difference that can be told');
    const { running } = fleet.tally();
    expect(Object.keys(running).sort()).toEqual([digests.get('33.0.0')!, digests.get('34.0.0')!].sort());
    // No winner is taken from who may not say, and none in silence.
    await call('viewer', 'POST', `/rollouts/${id}/approve`, { winner: 'A' }, 403);
    await call('operator', 'POST', `/rollouts/${id}/approve`, { reason: 'whatever' }, 409);
    await call('operator', 'POST', `/rollouts/${id}/approve`, { winner: 'A', reason: 'smaller download' });
    const done = await reaches(id, 'succeeded', ({ state }) => state === 'succeeded');
    expect([done.totals, done.cohorts.winner]).toEqual([{ succeeded: BOARDS }, 'A']);
    runs('33.0.0');
    expect(await decisions(id, 'promoting')).toMatchObject([
      {
        ...{ actor: 'the operator', text: 'the operator chose release A: smaller download; it goes to all boards' },
        inputs: { compared: { code: 'COMPARISON_INCONCLUSIVE', text: asks.reason?.text } },
      },
    ]);
  });

  it('stops at a gate that the worse arm breaks by itself, and takes both arms back', async () => {
    const wanted = spec('34.0.0', {
      comparison: comparison('31.0.0'),
      waves: [
        { name: 'canary', size: { share: 0.6 }, soakSeconds: 120 },
        { name: 'all', size: { share: 1 }, soakSeconds: 0 },
      ],
      gates: [{ metric: 'fps', of: 'ratio', min: 0.8, minDevices: 3 }],
    });
    const tried = await call<{ other: string[]; waves: { devices: string[] }[] }>(
      ...(['operator', 'POST', '/rollouts?dryRun=true', wanted] as const),
    );
    const [canary] = tried.waves.map(({ devices }) => devices);
    expect(canary.filter((device) => tried.other.includes(device)).length).toBeGreaterThanOrEqual(3);
    const { id } = await call<Rollout>('operator', 'POST', '/rollouts?start=true', wanted, 201);
    await reaches(id, 'soaking', ({ phase }) => phase === 'soaking');
    await minuteOfTelemetry();
    later += 2 * MINUTE_MS;
    const done = await reaches(id, 'turned-back', ({ state }) => state === 'turned-back');
    expect(done.reason?.code).toBe('GATE_FAILED');
    expect(done.reason?.text).toMatch(/^release B: fps after \/ before: 0\.3[78]\d* .* at least 0\.8/);
    expect(done.totals).toEqual({ 'turned-back': canary.length, waiting: BOARDS - canary.length });
    runs('33.0.0');
    expect(await decisions(id, 'compared')).toEqual([]);
    const [{ inputs }] = await decisions(id, 'turning-back');
    expect(inputs).toMatchObject({
      gates: [
        { cohort: 'A', verdict: 'pass' },
        { cohort: 'B', verdict: 'fail' },
      ],
    });
  });
});
