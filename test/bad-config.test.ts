import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BoardClient } from '../benchmarks/src/clients/board-client.js';
import { boardConfig } from '../benchmarks/src/rig/board.js';
import { freePorts } from '../benchmarks/src/rig/free-port.js';
import { AGENT_CLI, CLIP, FP32_PACKAGE, SERVER_CLI } from '../benchmarks/src/rig/repository.js';
import { Rig } from '../benchmarks/src/rig/rig.js';
import { waitFor } from '../benchmarks/src/rig/wait.js';

interface Outcome {
  code: number | string | null;
  stdout: string;
  stderr: string;
}

function run(cli: string, args: string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(process.execPath, [cli, ...args], { timeout: 20_000 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : (error.code ?? null), stdout, stderr });
    });
  });
}

describe('a bad configuration', () => {
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'vigie-config-'));
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  const good = (): string =>
    boardConfig({
      directory: join(directory, 'data'),
      httpPort: 8081,
      source: { url: CLIP, pacing: 'realtime', loop: true },
      modelDirectory: FP32_PACKAGE,
    });

  /** Exit 2 and one line that names each of `words`. */
  async function expectOneLine(cli: string, args: string[], words: (string | RegExp)[]): Promise<void> {
    const { code, stdout, stderr } = await run(cli, args);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    for (const word of words) expect(stderr).toMatch(word);
    expect(stderr).not.toMatch(/ {4}at /);
    expect(stdout).toBe('');
    expect(code).toBe(2);
  }

  async function agentConfig(name: string, text: string): Promise<string[]> {
    const file = join(directory, `${name}.yaml`);
    await writeFile(file, text);
    return ['run', '--config', file, '--data', join(directory, 'data')];
  }

  it('with an unknown key names it', async () => {
    const args = await agentConfig('unknown', good().replace('  port:', '  prot: 1\n  port:'));
    await expectOneLine(AGENT_CLI, args, ['http', 'prot', /remove|spell|unknown|known/i]);
  });

  it('with a value of the wrong type names field, value and what would do', async () => {
    const args = await agentConfig('type', good().replace(/port: \d+/, 'port: eighty'));
    await expectOneLine(AGENT_CLI, args, [/http.port/, 'eighty', /number|integer/]);
  });

  it('with a value out of its range names the range', async () => {
    const args = await agentConfig('range', good().replace(/port: \d+/, 'port: 70000'));
    await expectOneLine(AGENT_CLI, args, [/http.port/, '70000', '65535']);
  });

  it('that is missing is named', async () => {
    const file = join(directory, 'no-such.yaml');
    await expectOneLine(AGENT_CLI, ['run', '--config', file], ['no-such.yaml', /--config|exist|create/i]);
  });

  it('that is not YAML is named', async () => {
    await expectOneLine(AGENT_CLI, await agentConfig('broken', 'http: [1\n'), ['broken.yaml', /YAML/i]);
  });

  it('with a model folder that is not there names it', async () => {
    const args = await agentConfig('model', good().replace(JSON.stringify(FP32_PACKAGE), '"no-such-model"'));
    await expectOneLine(AGENT_CLI, args, [/model.directory/, 'no-such-model']);
  });

  it('that listens beyond loopback without a token is refused', async () => {
    const args = await agentConfig('open', good().replace('host: 127.0.0.1', 'host: 0.0.0.0'));
    await expectOneLine(AGENT_CLI, args, [/http.host/, /0\.0\.0\.0/, /token/]);
  });

  it('of the server is refused the same way', async () => {
    const unknown = join(directory, 'server.yaml');
    await writeFile(unknown, 'htpt:\n  port: 8080\n');
    await expectOneLine(SERVER_CLI, ['run', '--config', unknown, '--data', join(directory, 'server')], ['htpt']);
    const missing = join(directory, 'no-such-server.yaml');
    await expectOneLine(SERVER_CLI, ['run', '--config', missing], ['no-such-server.yaml']);
  });
});

describe('a camera that does not exist', () => {
  it('is retried with a growing delay and shown in /health; the program lives', async () => {
    const rig = new Rig();
    try {
      const [port] = await freePorts(1);
      const file = rig.path('board.yaml');
      const source = { url: rig.path('no-such-clip.mp4'), pacing: 'realtime', loop: true } as const;
      await writeFile(
        file,
        boardConfig({ directory: rig.path('board'), httpPort: port, source, modelDirectory: FP32_PACKAGE }),
      );
      const agent = rig.start({ name: 'board', command: process.execPath, args: [AGENT_CLI, 'run', '--config', file] });
      const client = new BoardClient(`http://127.0.0.1:${port}`);
      const attempts = new Set<number>();
      await waitFor(
        'three attempts',
        async () => {
          const camera = (await client.health())?.camera as
            | { status: string; attempt?: number; reason?: string }
            | undefined;
          if (camera?.status !== 'retrying') return false;
          expect(camera.reason).toMatch(/no-such-clip|No such file/);
          attempts.add(camera.attempt ?? 0);
          return attempts.size >= 3;
        },
        { timeoutMs: 25_000, guard: () => agent.assertRunning() },
      );
      const answer = await fetch(`${client.base}/health`);
      expect(answer.status).toBe(503);
      expect(((await answer.json()) as { ok: boolean }).ok).toBe(false);
      expect(agent.running).toBe(true);
    } finally {
      await rig.close();
    }
  });
});
