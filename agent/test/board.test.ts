import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openPackageDirectory } from '@vigie/models/package/package';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import type { Health } from '../src/io/board-view.js';

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const CLI = at('../dist/cli.js');
const CLIP = at('../../models/media/yard.mp4');
const PACKAGE = at('../../models/zoo/person-detector-int8');

const scratch = mkdtempSync(join(tmpdir(), 'vigie-board-'));
const agents: Agent[] = [];
let count = 0;

afterEach(() => {
  for (const agent of agents.splice(0)) agent.child.kill('SIGKILL');
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

interface Agent {
  child: ChildProcess;
  log: () => Record<string, unknown>[];
  exited: Promise<number | null>;
}

function configure(sections: object): { config: string; data: string } {
  count += 1;
  const config = join(scratch, `${count}.yaml`);
  const data = join(scratch, `data-${count}`);
  writeFileSync(
    config,
    JSON.stringify({ data: { directory: data }, http: { port: 0 }, model: { directory: PACKAGE }, ...sections }),
  );
  return { config, data };
}

/** The built agent as a process of its own, as on a board. */
function start(sections: object): Agent {
  const { config } = configure(sections);
  const child = spawn(process.execPath, [CLI, 'run', '--config', config], { stdio: ['ignore', 'ignore', 'pipe'] });
  let text = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    text += chunk.toString('utf8');
  });
  const log = () =>
    text
      .split('\n')
      .filter((line) => line.startsWith('{') && line.endsWith('}'))
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const agent = { child, log, exited };
  agents.push(agent);
  return agent;
}

async function poll<T>(
  what: string,
  look: () => Promise<T | null | false> | T | null | false,
  deadlineMs = 20_000,
): Promise<T> {
  const end = Date.now() + deadlineMs;
  for (;;) {
    const value = await look();
    if (value !== null && value !== false) return value;
    if (Date.now() > end) throw new Error(`awaited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

async function baseOf(agent: Agent): Promise<string> {
  const line = await poll('the agent to listen', () => agent.log().find(({ msg }) => msg === 'listening') ?? null);
  return String(line.http).replace(/\/$/, '');
}

async function health(base: string): Promise<{ status: number; body: Health }> {
  const response = await fetch(`${base}/health`);
  return { status: response.status, body: (await response.json()) as Health };
}

/** Children of a process, by a part of their command line. */
function childrenOf(pid: number, part: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((candidate) => {
      try {
        const stat = readFileSync(`/proc/${candidate}/stat`, 'utf8');
        const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
        return parent === pid && readFileSync(`/proc/${candidate}/cmdline`, 'utf8').includes(part);
      } catch {
        return false;
      }
    });
}

describe('vigie-agent run', () => {
  it('detects, serves what it sees, survives its child, and ends cleanly', async () => {
    const agent = start({ source: { url: CLIP, loop: true } });
    const base = await baseOf(agent);
    const well = await poll('frames', async () => {
      const { status, body } = await health(base);
      return status === 200 && body.detector.framesProcessed > 5 && body;
    });
    expect(well).toMatchObject({
      camera: { status: 'streaming', width: 640, height: 360 },
      link: { connected: false },
    });

    const info = (await (await fetch(`${base}/model/info`)).json()) as Record<string, unknown>;
    const { manifest } = await openPackageDirectory(PACKAGE);
    expect(info).toMatchObject({
      version: manifest.version,
      precision: 'int8',
      digest: well.detector.digest,
      labels: ['person'],
    });
    expect(info.framesRun).toBeGreaterThan(0);
    const snapshot = await fetch(`${base}/snapshot.jpg`);
    expect(snapshot.headers.get('content-type')).toBe('image/jpeg');
    expect(await (await fetch(`${base}/metrics`)).text()).toMatch(/^vigie_frames_total \d+$/m);

    const [child] = childrenOf(agent.child.pid as number, 'inference-main');
    process.kill(child, 'SIGKILL');
    const recovered = await poll('the board to recover', async () => {
      const { status, body } = await health(base);
      return status === 200 && body.detector.restarts === 1 && body;
    });
    expect(recovered.detector.drops['no-detector'] ?? 0).toBeGreaterThan(0);

    agent.child.kill('SIGTERM');
    expect(await agent.exited).toBe(0);
    expect(agent.log().at(-1)).toMatchObject({ msg: 'stopped' });
    expect(childrenOf(agent.child.pid as number, '')).toEqual([]);
  });

  it('plays a file unpaced to its end without losing a frame: both walkers become events, and all of them end', async () => {
    const agent = start({ source: { url: CLIP, pacing: 'unpaced', exitAtEnd: true } });
    expect(await agent.exited).toBe(0);
    const events = agent.log().filter(({ msg }) => msg === 'event');
    const of = (type: string) => events.filter((event) => event.type === type).map(({ event }) => event);
    expect(of('start').length).toBeGreaterThanOrEqual(2);
    expect(of('end').sort()).toEqual(of('start').sort());
  });

  it('tries a camera that is not there again and again, and says so', async () => {
    const agent = start({ source: { url: join(scratch, 'no-camera.mp4') } });
    const base = await baseOf(agent);
    const { status, body } = await poll('a second attempt', async () => {
      const seen = await health(base);
      return Number(seen.body.camera.attempt) >= 2 && seen;
    });
    expect(status).toBe(503);
    expect(body.camera).toMatchObject({ status: 'retrying', reason: expect.stringContaining('No such file') });
    expect(agent.child.exitCode).toBeNull();
  });

  it('leaves no process behind when it is killed', async () => {
    const agent = start({ source: { url: CLIP, loop: true } });
    const base = await baseOf(agent);
    await poll('frames', async () => (await health(base)).body.detector.framesProcessed > 0);
    const children = childrenOf(agent.child.pid as number, '');
    expect(children.length).toBe(2);
    agent.child.kill('SIGKILL');
    await agent.exited;
    await poll('the children to end', () => children.every((pid) => !isRunning(pid)));
  });
});

describe('a configuration that is wrong', () => {
  const run = (args: string[]) =>
    spawnSync(process.execPath, [CLI, 'run', ...args], { encoding: 'utf8', timeout: 20_000 });

  it.each([
    ['an unknown key', { source: { url: CLIP, pase: 1 } }, /source\.pase.*known/],
    ['a wrong type', { source: { url: CLIP }, http: { port: 'many' } }, /http\.port: "many".*integer/],
    ['an option as source', { source: { url: '-version' } }, /source\.url "-version".*rtsp/],
    ['an open door', { source: { url: CLIP }, http: { host: '0.0.0.0', port: 0 } }, /http\.host.*http\.token/],
    ['no package', { source: { url: CLIP }, model: { directory: '/nowhere' } }, /model\.directory: "\/nowhere"/],
  ])('%s ends with one line and exit code 2', (_, sections, line) => {
    const { config } = configure(sections);
    const { status, stderr } = run(['--config', config]);
    const said = stderr.split('\n').filter((text) => text !== '' && !text.startsWith('{'));
    expect(said).toHaveLength(1);
    expect(said[0]).toMatch(line);
    expect(status).toBe(2);
  });

  it('a missing file ends likewise', () => {
    const { status, stderr } = run(['--config', join(scratch, 'nowhere.yaml')]);
    expect([status, stderr.trim().split('\n').length]).toEqual([2, 1]);
    expect(stderr).toContain('nowhere.yaml');
  });
});

describe('vigie-agent doctor', () => {
  it('checks everything and exits 0 when all is well, 1 otherwise', () => {
    const { config } = configure({ source: { url: CLIP } });
    const doctor = (environment: object) =>
      spawnSync(process.execPath, [CLI, 'doctor', '--config', config, '--json'], {
        encoding: 'utf8',
        env: { ...process.env, ...environment },
      });
    const well = doctor({});
    expect(JSON.parse(well.stdout)).toMatchObject({ ok: true });
    expect(well.status).toBe(0);
    const ill = doctor({ VIGIE_SOURCE_URL: '/dev/video99' });
    const { checks } = JSON.parse(ill.stdout) as { checks: { name: string; ok: boolean; detail: string }[] };
    expect(checks.filter((check) => !check.ok)).toMatchObject([
      { name: 'camera', detail: expect.stringContaining('group video') },
    ]);
    expect(ill.status).toBe(1);
  });
});

function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}
