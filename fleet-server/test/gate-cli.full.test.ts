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
    release = { name, version, digest };
    await writeFile(join(home, 'person.vigie'), bytes);
  }, 120_000);
  afterAll(async () => {
    await server?.close();
    await rm(join(folder, '..'), { recursive: true, force: true });
    await rm(home, { recursive: true, force: true });
    await dropTemplate();
  });

  it('say at the upload what stands between a release and the boards', { timeout: 120_000 }, async () => {
    const label = `${release.name}@${release.version}`;
    const path = join(home, 'person.vigie');
    const uploaded = await vigie(['release', 'upload', path]);
    expect([uploaded.code, uploaded.stdout]).toEqual([0, expect.stringMatching(`^${label} int8 candidate`)]);
    expect(uploaded.stdout).toContain(`No board gets ${label} before a gate has passed it. No gate judges this model`);
    expect(uploaded.stdout).toContain('\n  vigie gate put FILE\n');

    const policy = {
      ...{ schema: 'vigie.gate/1', name: 'needy' },
      certifies: [{ evidence: { arch: ['arm64'] }, hardwareClasses: ['rpi5-8g'] }],
      rules: [
        { require: 'fps > 10', minSamples: 20 },
        { require: 'ap50.person > 0.5', on: { benchmark: ['evaluate'] } },
        { require: 'latencyMs.p95 < 100 ms', on: { source: ['lab'], hardwareClass: ['rpi5-8g'] } },
      ],
    };
    expect((await vigie(['gate', 'put', await file('needy.json', policy)])).code).toBe(0);
    const again = (await vigie(['release', 'upload', path])).stdout;
    expect(again).toContain('gate needy, for rpi5-8g: inconclusive');
    expect(again).toContain('inconclusive fps > 10: no result for fps from a platform that counts');
    for (const step of [
      `vigie-bench run ${path} --json > result.json   # on arm64`,
      'vigie benchmark post result.json',
      `vigie-models evaluate ${path} --dataset DIR --benchmark accuracy.json`,
      `vigie benchmark lab ${label} --class rpi5-8g`,
    ])
      expect(again).toContain(`\n  ${step}`);
    const document = await json(['gate', 'needs', label]);
    expect(document).toMatchObject({
      ...{ release: { ...release, state: 'candidate' }, decide: true, certified: [] },
      gates: [{ policy: 'needy', policyVersion: 1, verdict: 'inconclusive' }],
    });
    expect(document.gates[0].classes[0].rules).toMatchObject([
      { require: 'fps > 10', code: 'NO_EVIDENCE', evidence: { arch: ['arm64'] }, minSamples: 20 },
      { metric: 'ap50.person', evidence: { benchmark: ['evaluate'] }, minSamples: 1 },
      { code: 'NO_EVIDENCE', evidence: { source: ['lab'], hardwareClass: ['rpi5-8g'] } },
    ]);
    // Nothing was stored by asking.
    expect((await json(['gate', 'verdicts', label])).items).toEqual([]);
    expect((await vigie(['gate', 'needs', 'nobody@1.0.0'])).refusal).toBe('RELEASE_UNKNOWN');
    expect((await vigie(['gate', 'release', label])).refusal).toBe('RELEASE_NOT_APPROVED');
    expect((await json(['gate', 'remove', 'needy'])).removed).toBe(true);
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
    const needed = (await vigie(['gate', 'needs', label])).stdout;
    expect(needed).toContain('wanted > 10 FPS');
    expect(needed).toMatch(`  vigie gate override ${label} rpi4-2g `);
    expect(needed).not.toContain('vigie-bench');
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
