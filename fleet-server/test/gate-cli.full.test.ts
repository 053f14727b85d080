import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RunningServer } from '@vigie/fleet-server/main';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  Api,
  dataFolder,
  dropTemplate,
  repository,
  runCli,
  start,
  temporaryFolder,
  zooPackage,
} from './server-fixture.js';

/** What an operator types, from a gate to a certificate. */
describe('vigie gate and vigie benchmark', () => {
  let server: RunningServer;
  let folder: string;
  let home: string;
  let tokens: { first: string; second: string };
  let release: { name: string; version: string; digest: string };

  const vigie = async (args: string[], who: keyof typeof tokens = 'first') => {
    const env = { XDG_CONFIG_HOME: home, VIGIE_SERVER: server.httpUrl, VIGIE_TOKEN: tokens[who] };
    const { code, stdout, stderr } = await runCli('operator-cli.js', args, env);
    return { code, stdout, refusal: stderr.split(':')[1]?.trim() };
  };
  const json = async (args: string[], who: keyof typeof tokens = 'first') => {
    const { code, stdout, refusal } = await vigie(['--json', ...args], who);
    expect([code, refusal]).toEqual([0, undefined]);
    return JSON.parse(stdout);
  };
  const file = async (name: string, content: unknown) => {
    const path = join(home, name);
    await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content));
    return path;
  };

  beforeAll(async () => {
    const made = await dataFolder();
    folder = made.dataDirectory;
    home = await temporaryFolder();
    server = await start(folder, { registry: { policy: 'gates' } });
    const api = new Api(server.httpUrl, made.adminToken);
    const second = await api.call('POST', '/api/v1/tokens', { name: 'second person', role: 'operator' });
    expect(second.status).toBe(201);
    tokens = { first: made.adminToken, second: second.body.token };
    const { bytes, name, version, digest } = await zooPackage('int8');
    await api.call('POST', '/api/v1/releases', bytes);
    release = { name, version, digest };
  }, 120_000);
  afterAll(async () => {
    await server?.close();
    await rm(join(folder, '..'), { recursive: true, force: true });
    await rm(home, { recursive: true, force: true });
    await dropTemplate();
  });

  it('bring a release through its gate', { timeout: 180_000 }, async () => {
    const label = `${release.name}@${release.version}`;
    const put = await vigie([
      'gate',
      'put',
      join(repository, 'benchmarks/gates/edge-realtime.yaml'),
      '--note',
      'origin',
    ]);
    expect([put.code, put.stdout]).toEqual([0, 'edge-realtime version 1\n']);
    expect((await vigie(['gate', 'list'])).stdout).toContain('fps > 10; latencyMs.p95 < 100 ms');
    expect((await vigie(['gate', 'show', 'edge-realtime'])).stdout).toMatch(
      /"require": "fps > 10"[\s\S]*in force +origin/,
    );

    const result = (fps: number) => ({
      ...{ schema: 'vigie.benchmark/1', benchmark: 'run', at: '2026-11-21T07:00:00.000Z', release, samples: 300 },
      platform: { arch: 'arm64', cpu: 'x', cores: 4, node: '20', runtime: 'ort', emulated: false },
      metrics: { fps, 'latencyMs.p95': 79 },
    });
    const slow = await vigie(['benchmark', 'post', await file('slow.json', result(4.8))]);
    expect(slow.stdout).toContain('fail         fps > 10: fps is 4.8 FPS on arm64, run, wanted > 10 FPS');
    const lenient =
      'schema: vigie.gate/1\nname: lenient\ncertifies: [{evidence: {}, hardwareClasses: [x]}]\nrules: [{require: fps > 1}]\n';
    const tried = await json(['gate', 'dry-run', await file('lenient.yaml', lenient)]);
    expect(tried.counts).toEqual({ pass: 1, fail: 0, inconclusive: 0 });
    expect((await vigie(['gate', 'dry-run', 'edge-realtime'])).stdout).toContain('1 fail');

    const asked = await json(['gate', 'override', label, 'rpi5-8g', '--reason', 'the camera needs no ten frames']);
    expect(asked.state).toBe('waiting');
    expect((await vigie(['gate', 'approve', String(asked.id)])).refusal).toBe('OVERRIDE_NEEDS_SECOND_PERSON');
    expect((await json(['gate', 'approve', String(asked.id), '--decision', 'agreed'], 'second')).state).toBe(
      'approved',
    );
    expect((await vigie(['gate', 'overrides'])).stdout).toContain('second person');
    expect((await json(['gate', 'certificates', label])).items).toMatchObject([{ policy: 'override-1' }]);
    const reason = 'it was a mistake after all';
    expect((await vigie(['gate', 'revoke', label, 'rpi5-8g', '--reason', reason])).stdout).toContain(reason);

    expect((await json(['gate', 'judge', label])).verdicts).toMatchObject([{ verdict: 'fail' }]);
    const [newest] = (await json(['gate', 'verdicts', label])).items;
    expect((await vigie(['gate', 'verdict', String(newest.id)])).stdout).toContain('edge-realtime: fail');
    expect((await vigie(['benchmark', 'list', label])).stdout).toContain('4.8');
    expect((await vigie(['benchmark', 'lab', label])).refusal).toBe('LAB_BOARD_MISSING');
    expect((await json(['benchmark', 'asked', label])).items).toEqual([]);
    expect((await json(['gate', 'remove', 'edge-realtime'])).removed).toBe(true);
  });

  it('say what was typed wrongly, and keep gates to admins', { timeout: 60_000 }, async () => {
    expect(await vigie(['gate', 'put', join(home, 'none.yaml')])).toMatchObject({
      code: 2,
      refusal: 'FILE_UNREADABLE',
    });
    expect(await vigie(['gate', 'put', await file('bad.yaml', 'a: [')])).toMatchObject({
      code: 2,
      refusal: 'FILE_INVALID',
    });
    expect(await vigie(['gate', 'judge', 'nothing'])).toMatchObject({ code: 2, refusal: 'RELEASE_INVALID' });
    const wrong = await file('wrong.yaml', 'schema: vigie.gate/1\nname: w\ncertifies: []\nrules: []\n');
    expect(await vigie(['gate', 'put', wrong])).toMatchObject({ code: 1, refusal: 'GATE_INVALID' });
    expect(await vigie(['gate', 'put', wrong], 'second')).toMatchObject({ code: 1, refusal: 'FORBIDDEN' });
  });
});
