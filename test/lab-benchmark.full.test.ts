import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { packDirectory } from '@vigie/models/package/archive';
import type { BenchmarkResult } from '@vigie/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Board, enrollBoard, startBoard } from '../benchmarks/src/rig/board.js';
import { type FleetServer, initialiseServer, startServer } from '../benchmarks/src/rig/fleet-server.js';
import { freePorts } from '../benchmarks/src/rig/free-port.js';
import { CLIP, FP32_PACKAGE, INT8_PACKAGE } from '../benchmarks/src/rig/repository.js';
import { Rig } from '../benchmarks/src/rig/rig.js';
import { waitFor } from '../benchmarks/src/rig/wait.js';
import { modelInfo } from './support/model-info.js';

interface Asked {
  id: string;
  deviceId: string;
  state: string;
  code: string | null;
  benchmark: number | null;
}

const POLICY = {
  schema: 'vigie.gate/1',
  name: 'lab-only',
  certifies: [{ evidence: { source: ['lab'], hardwareClass: ['generic-x64'] }, hardwareClasses: ['generic-x64'] }],
  // How fast these machines are is not the question here.
  rules: [{ require: 'fps > 0.01', minSamples: 20 }, { require: 'modelBytes <= 50 MiB' }],
};

describe('a board of the lab, as real processes', () => {
  const rig = new Rig();
  let server: FleetServer;
  let board: Board;
  let boardPort: number;
  const path = (release: { name: string; version: string }) => `/releases/${release.name}/${release.version}`;
  const put = async (name: string, body: object) => {
    const response = await fetch(`${server.httpUrl}/api/v1/gates/${name}`, {
      method: 'PUT',
      headers: { authorization: `Bearer ${server.adminToken}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    expect(response.status).toBe(201);
  };
  const launch = async () => {
    board = await startBoard(rig, {
      directory: rig.path('board'),
      httpPort: boardPort,
      source: { url: CLIP, pacing: 'realtime', loop: true },
      modelDirectory: FP32_PACKAGE,
    });
    await waitFor('the board to be connected', async () => (await board.client.health())?.link.connected, {
      timeoutMs: 60_000,
    });
    await waitFor('the server to see it', async () => (await server.client.device('lab-1')).presence?.online, {
      timeoutMs: 20_000,
    });
  };
  const ended = (release: { name: string; version: string }, id: string) =>
    waitFor(
      'the end of the benchmark',
      async () => {
        const { items } = await server.client.get<{ items: Asked[] }>(`${path(release)}/lab-benchmarks`);
        const one = items.find((item) => item.id === id);
        return one !== undefined && one.state !== 'asked' && one;
      },
      { timeoutMs: 90_000, guard: () => board.process.assertRunning() },
    );

  beforeAll(async () => {
    const [http, mqtt, port] = await freePorts(3);
    boardPort = port;
    const { adminToken } = await initialiseServer(rig.path('server'));
    writeFileSync(rig.path('server.yaml'), 'registry:\n  policy: gates\n', { mode: 0o600 });
    server = await startServer(rig, rig.path('server'), adminToken, { http, mqtt }, [
      '--config',
      rig.path('server.yaml'),
    ]);
    const { token } = await server.client.post<{ token: string }>('/enrollment-tokens', { role: 'lab' });
    await enrollBoard(server.httpsUrl, token, rig.path('board'), 'lab-1');
    await launch();
    await put(POLICY.name, { policy: POLICY });
  }, 180_000);
  afterAll(() => rig.close());

  it('measures a release that nothing certified, beside its live model and outside its slots', async () => {
    const release = await server.client.publishRelease((await packDirectory(INT8_PACKAGE)).bytes);
    expect(release.state).toBe('candidate');
    const before = await modelInfo(board.client.base);
    const { items } = await server.client.post<{ items: Asked[] }>(`${path(release)}/lab-benchmarks`, { samples: 40 });
    expect(items).toMatchObject([{ deviceId: 'lab-1', state: 'asked' }]);
    const done = await ended(release, items[0].id);
    expect(done).toMatchObject({ state: 'answered', code: null });
    const stored = await server.client.get<{ source: string; deviceId: string; result: BenchmarkResult }>(
      `/benchmarks/${done.benchmark}`,
    );
    const { result } = stored;
    expect(stored).toMatchObject({ source: 'lab', deviceId: 'lab-1' });
    expect(result).toMatchObject({ benchmark: 'lab', samples: 40, platform: { hardwareClass: 'generic-x64' } });
    expect(result.series?.latencyMs).toHaveLength(40);
    expect(result.metrics['latencyMs.p50']).toBeGreaterThan(0);
    expect(result.metrics.memoryBytes).toBeGreaterThan(20_000_000);

    // That was evidence: the gate has passed it, and only now may boards have it.
    await waitFor('the release', async () => (await server.client.releases())[0].state === 'released', {
      timeoutMs: 20_000,
    });
    const { items: certificates } = await server.client.get<{ items: object[] }>(`${path(release)}/certificates`);
    expect(certificates).toMatchObject([{ hardwareClass: 'generic-x64', policy: 'lab-only' }]);

    const after = await modelInfo(board.client.base);
    expect(after.digest).toBe(before.digest);
    expect(after.framesRun).toBeGreaterThan(before.framesRun);
    const slots = rig.path('board', 'slots');
    expect(existsSync(slots) ? readdirSync(slots) : []).not.toContain(release.digest);
    expect(readdirSync(rig.path('board', 'benchmark', 'slots'))).toEqual([]);
  }, 180_000);

  it('refuses with a code of its own when it did not enrol as one', async () => {
    await board.process.stop();
    const file = rig.path('board', 'identity.json');
    const { role, ...identity } = JSON.parse(readFileSync(file, 'utf8'));
    expect(role).toBe('lab');
    writeFileSync(file, JSON.stringify(identity), { mode: 0o600 });
    await launch();
    const release = await server.client.publishRelease((await packDirectory(FP32_PACKAGE)).bytes);
    const { items } = await server.client.post<{ items: Asked[] }>(`${path(release)}/lab-benchmarks`, {});
    const refused = await ended(release, items[0].id);
    expect(refused).toMatchObject({ state: 'refused', code: 'BENCHMARK_NOT_A_LAB_BOARD', benchmark: null });
    expect((await server.client.get<{ state: string }>(path(release))).state).toBe('candidate');
  }, 180_000);

  it('is not asked when it is none, or is away', async () => {
    const [release] = await server.client.releases();
    const ask = (body: object) => server.client.post(`${path(release)}/lab-benchmarks`, body);
    await expect(ask({ devices: ['nobody'] })).rejects.toThrow('LAB_BOARD_MISSING');
    await expect(ask({ hardwareClasses: ['rpi5-8g'] })).rejects.toThrow('LAB_BOARD_MISSING');
  });
});
