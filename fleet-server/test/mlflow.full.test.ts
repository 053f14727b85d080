import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { RunningServer } from '@vigie/fleet-server/main';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  Api,
  dataFolder,
  dropTemplate,
  repository,
  start,
  temporaryFolder,
  until,
  ZOO,
  zooPackage,
} from './server-fixture.js';

const run = promisify(execFile);

/** A real MLflow: VIGIE_MLFLOW names its executable; otherwise one is installed once, where pip reaches an index. */
async function findMlflow(): Promise<string | null> {
  if (process.env.VIGIE_MLFLOW) return process.env.VIGIE_MLFLOW;
  const venv = join(tmpdir(), 'vigie-mlflow-venv');
  const executable = join(venv, 'bin', 'mlflow');
  if (
    await access(executable).then(
      () => true,
      () => false,
    )
  )
    return executable;
  try {
    await run('python3', ['-m', 'venv', venv]);
    await run(join(venv, 'bin', 'pip'), ['install', '--quiet', 'mlflow'], { timeout: 540_000 });
    return executable;
  } catch (error) {
    await rm(venv, { recursive: true, force: true });
    process.stderr.write(
      `mlflow.full.test: skipped: MLflow cannot be installed (${(error as Error).message.split('\n')[0]})\n`,
    );
    return null;
  }
}

const mlflow = await findMlflow();

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

describe.skipIf(mlflow === null)('with a real MLflow server', () => {
  let folder: string;
  let directory: string;
  let port: number;
  let tracking: ChildProcess;
  let server: RunningServer;
  let api: Api;
  const runs: string[] = [];
  const releases: { name: string; version: string }[] = [];

  const url = () => `http://127.0.0.1:${port}`;
  async function rest<T>(method: string, path: string, body?: unknown): Promise<T> {
    const answer = await fetch(`${url()}/api/2.0/${path}`, {
      method,
      ...(body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return JSON.parse(text) as T;
  }

  async function startMlflow(): Promise<void> {
    const args = ['server', '--host', '127.0.0.1', '--port', String(port), '--workers', '1'];
    const stores = ['--backend-store-uri', 'sqlite:///mlflow.db', '--artifacts-destination', './artifacts'];
    tracking = spawn(mlflow as string, [...args, ...stores], { cwd: folder, stdio: 'ignore', detached: true });
    await until(
      'MLflow to listen',
      () =>
        fetch(`${url()}/health`).then(
          ({ ok }) => ok,
          () => false,
        ),
      120_000,
    );
  }
  async function stopMlflow(): Promise<void> {
    if (tracking.exitCode !== null || tracking.signalCode !== null) return;
    const gone = once(tracking, 'exit');
    process.kill(-(tracking.pid as number), 'SIGKILL');
    await gone;
  }

  async function newRun(metric: number): Promise<{ id: string; artifacts: string }> {
    const { run: made } = await rest<{ run: { info: { run_id: string; artifact_uri: string } } }>(
      'POST',
      'mlflow/runs/create',
      { experiment_id: '0', start_time: Date.now() },
    );
    const { run_id: id, artifact_uri: artifacts } = made.info;
    const value = { run_id: id, key: 'val_ap50', value: metric, timestamp: Date.now(), step: 0 };
    await rest('POST', 'mlflow/runs/log-metric', value);
    return { id, artifacts };
  }
  const upload = async (run: { artifacts: string }, path: string, bytes: Buffer) => {
    const place = run.artifacts.replace(/^mlflow-artifacts:\//, '');
    const answer = await fetch(`${url()}/api/2.0/mlflow-artifacts/artifacts/${place}/${path}`, {
      method: 'PUT',
      body: new Uint8Array(bytes),
    });
    expect(answer.status).toBe(200);
  };
  const register = async (source: string, runId: string) =>
    rest<{ model_version: { version: string } }>('POST', 'mlflow/model-versions/create', {
      ...{ name: 'yard', source, run_id: runId },
    });
  const runOf = async (id: string) =>
    (
      await rest<{
        run: {
          data: { metrics?: { key: string; value: number; step: number }[]; tags?: { key: string; value: string }[] };
        };
      }>('GET', `mlflow/runs/get?run_id=${id}`)
    ).run.data;
  const tagsOf = async (id: string) =>
    Object.fromEntries(((await runOf(id)).tags ?? []).map(({ key, value }) => [key, value]));
  const aliasOf = (alias: string) =>
    rest<{ model_version: { version: string } }>('GET', `mlflow/registered-models/alias?name=yard&alias=${alias}`).then(
      ({ model_version: { version } }) => version,
      () => null,
    );
  const imported = async (body: object) => {
    const asked = await api.call('POST', '/api/v1/mlflow/imports', body);
    expect(asked.status, JSON.stringify(asked.body)).toBe(202);
    const { id } = asked.body as unknown as { id: string };
    return until(
      'the import',
      async () => {
        const seen = (await api.call('GET', `/api/v1/uploads/${id}`)).body as unknown as {
          state: string;
          failure: { code: string } | null;
          release: { name: string; version: string } | null;
        };
        return seen.state === 'done' || seen.state === 'refused' ? seen : null;
      },
      60_000,
    );
  };
  const promote = (release: object) =>
    api.call('POST', '/api/v1/promotions', { ...release, alias: 'champion', reason: 'fewer misses' });

  beforeAll(async () => {
    folder = await temporaryFolder();
    port = await freePort();
    await mkdir(join(folder, 'artifacts'));
    await startMlflow();
    const tokenFile = join(folder, 'token');
    await writeFile(tokenFile, 'a-token-that-nobody-checks\n', { mode: 0o600 });
    const made = await dataFolder();
    directory = made.dataDirectory;
    server = await start(directory, { mlflow: { url: `${url()}/`, tokenFile } });
    api = new Api(server.httpUrl, made.adminToken);

    const first = await newRun(0.61);
    const source = join(repository, ZOO.int8);
    for (const entry of await readdir(source, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const path = join(entry.parentPath, entry.name);
      await upload(first, `out/package/${path.slice(source.length + 1)}`, await readFile(path));
    }
    const second = await newRun(0.64);
    await upload(second, 'person.vigie', (await zooPackage('fp32')).bytes);
    const third = await newRun(0.1);
    await upload(third, 'out/notes.txt', Buffer.from('nothing here'));
    runs.push(first.id, second.id, third.id);
    await rest('POST', 'mlflow/registered-models/create', { name: 'yard' });
    await register(`runs:/${first.id}/out`, first.id);
    await register(second.artifacts, second.id);
    await register(`${third.artifacts}/out`, third.id);
    await rest('POST', 'mlflow/registered-models/alias', { name: 'yard', alias: 'candidate', version: '2' });
  }, 200_000);

  afterAll(async () => {
    await server?.close();
    if (tracking !== undefined) await stopMlflow();
    for (const used of [folder, directory && join(directory, '..')]) await rm(used, { recursive: true, force: true });
    await dropTemplate();
  });

  it('a version is imported, by number from a folder and by alias from a file', async () => {
    for (const which of [{ version: '1' }, { alias: 'candidate' }]) {
      const end = await imported({ model: 'yard', ...which });
      expect(end, JSON.stringify(end)).toMatchObject({ state: 'done', failure: null });
      const { name, version } = end.release as { name: string; version: string };
      releases.push({ name, version });
    }
    const int8 = await api.call('GET', `/api/v1/releases/${releases[0].name}/${releases[0].version}`);
    expect(int8.body).toMatchObject({
      digest: (await zooPackage('int8')).digest,
      provenance: {
        kind: 'mlflow',
        url: url(),
        model: 'yard',
        version: '1',
        runId: runs[0],
        metrics: { val_ap50: 0.61 },
      },
    });
    const fp32 = await api.call('GET', `/api/v1/releases/${releases[1].name}/${releases[1].version}`);
    expect(fp32.body).toMatchObject({ provenance: { version: '2', runId: runs[1], metrics: { val_ap50: 0.64 } } });
    expect(await imported({ model: 'yard', version: '1' }), 'again').toMatchObject({ state: 'done' });
  }, 120_000);

  it('what cannot be imported is refused with a code', async () => {
    expect((await imported({ model: 'yard', version: '99' })).failure?.code).toBe('MLFLOW_UNKNOWN');
    expect((await imported({ model: 'yard', alias: 'nobody' })).failure?.code).toBe('MLFLOW_UNKNOWN');
    expect((await imported({ model: 'yard', version: '3' })).failure?.code).toBe('MLFLOW_NO_PACKAGE');
    const both = await api.call('POST', '/api/v1/mlflow/imports', { model: 'yard', version: '1', alias: 'candidate' });
    expect(both.status).toBe(400);
  }, 120_000);

  it('results, decisions and aliases come back to MLflow', async () => {
    const { digest } = await zooPackage('int8');
    const platform = { arch: 'arm64', cpu: 'Cortex-A76', cores: 4, node: 'v20', runtime: 'onnx', emulated: false };
    const posted = await api.call('POST', '/api/v1/benchmarks', {
      ...{ schema: 'vigie.benchmark/1', benchmark: 'run', at: new Date().toISOString(), samples: 300, platform },
      release: { ...releases[0], digest },
      metrics: { fps: 12.5, 'latencyMs.p95': 79 },
    });
    expect(posted.status, JSON.stringify(posted.body)).toBeLessThan(300);
    expect((await promote(releases[0])).status).toBe(201);
    await until('the alias', async () => (await aliasOf('champion')) === '1', 60_000);
    const metrics = (await runOf(runs[0])).metrics ?? [];
    expect(metrics.find(({ key }) => key === 'vigie/arm64/run/fps')?.value).toBe(12.5);
    expect(metrics.find(({ key }) => key === 'vigie/arm64/run/latencyMs.p95')?.value).toBe(79);
    expect((await tagsOf(runs[0]))['vigie.champion']).toMatch(/^by first admin at .*: fewer misses$/);
  }, 120_000);

  it('an outage of MLflow loses nothing', async () => {
    await stopMlflow();
    expect((await imported({ model: 'yard', version: '1' })).failure?.code).toBe('MLFLOW_UNREACHABLE');
    expect((await promote(releases[1])).status).toBe(201);
    await until('a failure', async () => {
      const health = (await api.call('GET', '/health')).body as unknown as { mlflow: { lastCode: string | null } };
      return health.mlflow.lastCode === 'MLFLOW_UNREACHABLE';
    });
    await server.close();
    server = await start(directory, { mlflow: { url: url() } });
    api = new Api(server.httpUrl, api.token);
    await startMlflow();
    await until('the alias', async () => (await aliasOf('champion')) === '2', 90_000);
    expect((await tagsOf(runs[1]))['vigie.champion']).toContain('fewer misses');
    expect((await tagsOf(runs[0]))['vigie.champion'], 'of before').toContain('fewer misses');
  }, 240_000);
});
