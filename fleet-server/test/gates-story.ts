import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { RunningServer } from '@vigie/fleet-server/main';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parse } from 'yaml';
import { Api, holdAnswersToSchemas, repository, start, until, zooPackage } from './server-fixture.js';

holdAnswersToSchemas();

/** A gate like the origin's, on this test's machines. */
const EDGE = {
  schema: 'vigie.gate/1',
  name: 'edge',
  certifies: [{ evidence: { arch: ['arm64'] }, hardwareClasses: ['rpi5-8g'] }],
  rules: [{ require: 'fps > 10' }, { require: 'latencyMs.p95 < 100 ms' }],
};

interface Release {
  name: string;
  version: string;
  digest: string;
}

function result(release: Release, metrics: Record<string, number>, changes: object = {}, platform: object = {}) {
  return {
    schema: 'vigie.benchmark/1',
    benchmark: 'run',
    at: '2026-11-21T07:00:00.000Z',
    release: { name: release.name, version: release.version, digest: release.digest },
    platform: { arch: 'arm64', cpu: 'Cortex-A76', cores: 4, node: '20', runtime: 'ort', emulated: false, ...platform },
    samples: 300,
    metrics,
    ...changes,
  };
}

/** An initialised data folder, and the settings that name its engines. */
export interface Engine {
  dataDirectory: string;
  adminToken: string;
  changes: Record<string, unknown>;
}

/** What gates do, the same on every engine. */
export function gatesStory(open: () => Promise<Engine>): void {
  let server: RunningServer;
  let directory: string;
  let api: Api;
  let int8: Release;
  let fp32: Release;
  const path = ({ name, version }: Release) => `/api/v1/releases/${name}/${version}`;
  const state = async (release: Release) => (await api.call('GET', path(release))).body.state;
  const certificates = async (release: Release) =>
    (await api.call('GET', `${path(release)}/certificates`)).body.items as unknown as {
      hardwareClass: string;
      policy: string;
      revoked: object | null;
    }[];
  const kinds = async () => {
    const { body } = await api.call('GET', '/api/v1/gate-verdicts?limit=200');
    return (body.items as unknown as { verdict: string }[]).map(({ verdict }) => verdict);
  };

  beforeAll(async () => {
    const folder = await open();
    directory = folder.dataDirectory;
    server = await start(directory, { ...folder.changes, registry: { policy: 'gates' } });
    api = new Api(server.httpUrl, folder.adminToken);
    for (const which of ['int8', 'fp32'] as const) {
      const { bytes, name, version, digest } = await zooPackage(which);
      expect((await api.call('POST', '/api/v1/releases', bytes)).status).toBe(201);
      if (which === 'int8') int8 = { name, version, digest };
      else fp32 = { name, version, digest };
    }
  });
  afterAll(async () => {
    await server?.close();
    if (directory !== undefined) await rm(join(directory, '..'), { recursive: true, force: true });
  });

  it('are refused when they are made, by cause and field', async () => {
    for (const [change, gateCode, field] of [
      [{ rules: [{ require: 'fsp > 10' }] }, 'GATE_METRIC_UNKNOWN', 'rules.0.require'],
      [{ rules: [{ require: 'fps < 10' }] }, 'GATE_DIRECTION', 'rules.0.require'],
      [{ rules: [{ require: 'fps > NaN' }] }, 'GATE_REQUIREMENT_SYNTAX', 'rules.0.require'],
      [{ certify: [] }, 'GATE_UNKNOWN_KEY', 'certify'],
      [{ name: 'other' }, 'GATE_NAME', 'name'],
      [{ description: 'half' }, undefined, undefined],
    ] as const) {
      const { status, body } = await api.call('PUT', '/api/v1/gates/tried', {
        policy: { ...EDGE, name: 'tried', ...change },
      });
      expect([status, body.gateCode, body.field]).toEqual(
        gateCode ? [422, gateCode, field] : [201, undefined, undefined],
      );
    }
    expect((await api.call('DELETE', '/api/v1/gates/tried')).status).toBe(200);
    expect((await api.call('GET', '/api/v1/gates')).body.items).toEqual([]);
  });

  it('keep their history, and refuse a change of what is no longer there', async () => {
    expect((await api.call('PUT', '/api/v1/gates/edge', { policy: EDGE, note: 'as the origin had it' })).status).toBe(
      201,
    );
    const put = (ifVersion: number) => api.call('PUT', '/api/v1/gates/edge', { policy: EDGE, ifVersion });
    expect((await put(0)).body.code).toBe('GATE_CHANGED');
    expect((await put(1)).body.version).toBe(2);
    const { body } = await api.call('GET', '/api/v1/gates/edge');
    expect(
      (body.history as unknown as { note: string; version: number }[]).map(({ note, version }) => [version, note]),
    ).toEqual([
      [2, ''],
      [1, 'as the origin had it'],
    ]);
    expect((await api.call('GET', '/api/v1/gates/none')).body.code).toBe('GATE_UNKNOWN');
  });

  it('pass INT8, which is certified and released; block FP32', async () => {
    expect(await state(int8)).toBe('candidate');
    const x86 = await api.call(
      'POST',
      '/api/v1/benchmarks',
      result(int8, { fps: 90, 'latencyMs.p95': 11 }, {}, { arch: 'x64' }),
    );
    expect([x86.status, x86.body.certified]).toEqual([201, []]);
    expect(await state(int8)).toBe('benchmarked');
    const good = result(int8, { fps: 12.6, 'latencyMs.p95': 79 });
    const posted = await api.call('POST', '/api/v1/benchmarks', good);
    expect(posted).toMatchObject({
      status: 201,
      body: { created: true, certified: ['rpi5-8g'], verdicts: [{ verdict: 'pass' }] },
    });
    expect(await state(int8)).toBe('released');
    expect(await certificates(int8)).toMatchObject([{ hardwareClass: 'rpi5-8g', policy: 'edge', revoked: null }]);
    const again = await api.call('POST', '/api/v1/benchmarks', good);
    expect(again).toMatchObject({ status: 200, body: { id: posted.body.id, created: false, certified: [] } });

    const blocked = await api.call('POST', '/api/v1/benchmarks', result(fp32, { fps: 4.8, 'latencyMs.p95': 206 }));
    expect(blocked).toMatchObject({ status: 201, body: { certified: [], release: { state: 'benchmarked' } } });
    expect(JSON.stringify(blocked.body.verdicts)).toContain('fps is 4.8 FPS on arm64, run, wanted > 10 FPS');
    expect(await certificates(fp32)).toEqual([]);
    const assigned = await api.call('POST', '/api/v1/assignments', {
      devices: ['nobody'],
      name: fp32.name,
      version: fp32.version,
    });
    expect(assigned.body.code).toBe('RELEASE_NOT_RELEASED');
    expect(await kinds()).toEqual(['fail', 'pass', 'inconclusive']);
  });

  it('store every input of a verdict', async () => {
    const { items } = (
      await api.call('GET', `/api/v1/gate-verdicts?name=${int8.name}&version=${int8.version}&verdict=pass`)
    ).body as unknown as {
      items: { id: number; inputs: { evidence: number[] }; policyVersion: number; classes: object[] }[];
    };
    expect(items).toHaveLength(1);
    expect(items[0].policyVersion).toBe(2);
    expect(items[0].inputs.evidence).toHaveLength(2);
    for (const id of items[0].inputs.evidence)
      expect((await api.call('GET', `/api/v1/benchmarks/${id}`)).status).toBe(200);
    expect((await api.call('GET', `/api/v1/gate-verdicts/${items[0].id}`)).body).toEqual(items[0]);
  });

  it('take results of what is in the registry only, whole and of now', async () => {
    const good = { fps: 12 };
    for (const [body, status, code] of [
      [result({ ...int8, version: '9.9.9' }, good), 404, 'RELEASE_UNKNOWN'],
      [result({ ...int8, digest: 'a'.repeat(64) }, good), 409, 'BENCHMARK_RELEASE_MISMATCH'],
      [result(int8, good, { release: null }), 404, 'RELEASE_UNKNOWN'],
      [result(int8, good, { at: '2126-01-01T00:00:00.000Z' }), 422, 'BENCHMARK_FROM_FUTURE'],
      [result(int8, good, { at: '2026-99-99T00:00:00.000Z' }), 422, 'BENCHMARK_FROM_FUTURE'],
      [result(int8, { fps: 'ten' as unknown as number }), 400, 'REQUEST_INVALID'],
      [{}, 400, 'REQUEST_INVALID'],
    ] as const) {
      const answer = await api.call('POST', '/api/v1/benchmarks', body);
      expect([answer.status, answer.body.code]).toEqual([status, code]);
    }
    const odd = await api.call(
      'POST',
      '/api/v1/benchmarks',
      result(int8, { 'x y': 1 }, { benchmark: 'a b', unknown: 1 }),
    );
    expect(odd.status).toBe(201);
    const stored = (await api.call('GET', `/api/v1/benchmarks/${odd.body.id}`)).body.result as { unknown?: number };
    expect(stored.unknown).toBeUndefined();
  });

  it('do not take back what they certified; a revoked class only comes back by an override of two people', async () => {
    const worse = await api.call(
      'POST',
      '/api/v1/benchmarks',
      result(int8, { fps: 3, 'latencyMs.p95': 300 }, { at: '2026-11-21T08:00:00.000Z' }),
    );
    expect(worse.body.verdicts).toMatchObject([{ verdict: 'fail' }]);
    expect(await certificates(int8)).toMatchObject([{ revoked: null }]);
    const reason = 'throttles in the sun, see ticket 17';
    const revoked = await api.call('POST', `${path(int8)}/certificates/revoke`, { hardwareClass: 'rpi5-8g', reason });
    expect(revoked.body.items).toMatchObject([{ revoked: { reason } }]);
    expect(
      (await api.call('POST', `${path(int8)}/certificates/revoke`, { hardwareClass: 'rpi5-8g', reason })).body.code,
    ).toBe('CERTIFICATE_UNKNOWN');
    const better = await api.call(
      'POST',
      '/api/v1/benchmarks',
      result(int8, { fps: 13, 'latencyMs.p95': 70 }, { at: '2026-11-21T09:00:00.000Z' }),
    );
    expect(better.body).toMatchObject({ verdicts: [{ verdict: 'pass' }], certified: [] });

    const body = { hardwareClasses: ['rpi5-8g'], reason: 'cooled now, measured again by hand' };
    const asked = await api.call('POST', `${path(int8)}/overrides`, body);
    expect(asked).toMatchObject({ status: 201, body: { state: 'waiting' } });
    const approve = `/api/v1/gate-overrides/${asked.body.id}/approve`;
    expect((await api.call('POST', approve)).body.code).toBe('OVERRIDE_NEEDS_SECOND_PERSON');
    expect(await certificates(int8)).not.toMatchObject([{ revoked: null }]);
    expect(
      (await api.call('POST', `/api/v1/gate-overrides/${asked.body.id}/reject`, { decision: 'no' })).body.state,
    ).toBe('rejected');
    expect((await api.call('POST', approve)).body.code).toBe('OVERRIDE_DECIDED');
    expect((await api.call('POST', '/api/v1/gate-overrides/999/approve')).body.code).toBe('OVERRIDE_UNKNOWN');
  });

  it('judge again when a policy changes, and can be tried on the past', async () => {
    const lenient = { ...EDGE, rules: [{ require: 'fps > 4' }] };
    const tried = await api.call('POST', '/api/v1/gates/edge/dry-run', { policy: lenient });
    expect(tried.body).toMatchObject({ counts: { pass: 2, fail: 0, inconclusive: 0 } });
    expect((await api.call('POST', '/api/v1/gates/edge/dry-run', { version: 1 })).body.counts).toEqual({
      pass: 1,
      fail: 1,
      inconclusive: 0,
    });
    expect(await certificates(fp32)).toEqual([]);
    await api.call('PUT', '/api/v1/gates/edge', { policy: lenient });
    await until('the duty to certify FP32', async () => (await certificates(fp32)).length === 1);
    await until('the release', async () => (await state(fp32)) === 'released');
  });

  it('narrow each other: a class needs every policy that names it', async () => {
    const accuracy = {
      ...EDGE,
      name: 'accuracy',
      certifies: [{ evidence: {}, hardwareClasses: ['rpi4-2g'] }],
      rules: [{ require: 'ap50 >= 0.3' }],
    };
    const speed = { ...accuracy, name: 'speed', rules: [{ require: 'fps > 1' }] };
    await api.call('PUT', '/api/v1/gates/accuracy', { policy: accuracy });
    await api.call('PUT', '/api/v1/gates/speed', { policy: speed });
    const judged = await api.call('POST', `${path(fp32)}/judge`);
    expect(judged.body.certified).toEqual([]);
    await api.call(
      'POST',
      '/api/v1/benchmarks',
      result(fp32, { ap50: 0.4 }, { benchmark: 'evaluate' }, { arch: 'x64', emulated: true }),
    );
    expect(await certificates(fp32)).toMatchObject([{ policy: 'accuracy,speed' }, { policy: 'edge' }]);
  });

  it('hold a release against the champion of its model', async () => {
    const relative = {
      ...EDGE,
      name: 'relative',
      certifies: [{ evidence: { arch: ['arm64'] }, hardwareClasses: ['rpi3-1g'] }],
      rules: [{ require: 'latencyMs.p95 <= 1.05 * champion' }],
    };
    await api.call('PUT', '/api/v1/gates/relative', { policy: relative });
    const first = (await api.call('POST', `${path(int8)}/judge`)).body.verdicts as unknown as {
      policy: string;
      verdict: string;
    }[];
    expect(first.find(({ policy }) => policy === 'relative')?.verdict).toBe('inconclusive');
    const promoted = await api.call('POST', '/api/v1/promotions', {
      name: fp32.name,
      version: fp32.version,
      alias: 'champion',
      reason: 'first of its name',
    });
    expect(promoted.status).toBe(201);
    expect(JSON.stringify(promoted.body)).toContain('4.8');
    await until('a judgement against the new champion', async () => {
      return (await certificates(int8)).some(({ hardwareClass }) => hardwareClass === 'rpi3-1g');
    });
  });

  it('come with an example that is the gate of the origin', async () => {
    const example = parse(await readFile(join(repository, 'benchmarks/gates/edge-realtime.yaml'), 'utf8'));
    expect((await api.call('PUT', `/api/v1/gates/${example.name}`, { policy: example })).status).toBe(201);
  });

  it('let one person override, and a publisher release, where they may', async () => {
    const folder = await open();
    const changes = {
      ...folder.changes,
      registry: { policy: 'gates' },
      gates: { secondPerson: false, release: 'manual' },
    };
    const server = await start(folder.dataDirectory, changes);
    try {
      const api = new Api(server.httpUrl, folder.adminToken);
      const { bytes, name, version } = await zooPackage('int8');
      await api.call('POST', '/api/v1/releases', bytes);
      const path = `/api/v1/releases/${name}/${version}`;
      expect((await api.call('POST', `${path}/release`)).body.code).toBe('RELEASE_NOT_APPROVED');
      const short = await api.call('POST', `${path}/overrides`, { hardwareClasses: ['rpi5-8g'], reason: 'because' });
      expect(short.body.code).toBe('REQUEST_INVALID');
      const body = { hardwareClasses: ['rpi5-8g'], reason: 'the lab is closed this week' };
      expect((await api.call('POST', `${path}/overrides`, body)).body).toMatchObject({
        state: 'approved',
        decidedBy: 'first admin',
      });
      expect((await api.call('GET', path)).body.state).toBe('approved');
      const released = await api.call('POST', `${path}/release`);
      expect(released.body).toMatchObject({ state: 'released', certifiedBy: 'override-1' });
    } finally {
      await server.close();
      await rm(join(folder.dataDirectory, '..'), { recursive: true, force: true });
    }
  }, 90_000);
}
