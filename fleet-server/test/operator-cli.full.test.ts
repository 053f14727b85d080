import { spawnSync } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { completionScript } from '@vigie/fleet-server/operator/completion';
import { Command } from 'commander';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunningServer } from '../src/main.js';
import { dataFolder, dropTemplate, runCli, start, temporaryFolder } from './server-fixture.js';

describe('vigie login', () => {
  let server: RunningServer;
  let adminToken: string;
  let folder: string;
  let home: string;

  beforeAll(async () => {
    const made = await dataFolder();
    folder = made.dataDirectory;
    adminToken = made.adminToken;
    server = await start(folder);
    home = await temporaryFolder();
  }, 120_000);
  afterAll(async () => {
    await server?.close();
    await rm(join(folder, '..'), { recursive: true, force: true });
    await rm(home, { recursive: true, force: true });
    await dropTemplate();
  });

  const vigie = (args: string[], env: NodeJS.ProcessEnv = {}) =>
    runCli('operator-cli.js', args, { XDG_CONFIG_HOME: home, VIGIE_TOKEN: '', ...env });
  const fingerprint = () => createHash('sha256').update(new X509Certificate(server.authority).raw).digest('base64url');
  const code = (answer: { stderr: string }) => answer.stderr.split(':')[1]?.trim();

  it('pins the authority by its fingerprint, keeps the login privately, and forgets it', {
    timeout: 120_000,
  }, async () => {
    const https = ['--server', server.httpsUrl];
    const token = { VIGIE_TOKEN: adminToken };
    const unpinned = await vigie([...https, 'login'], token);
    expect([unpinned.code, code(unpinned)]).toEqual([1, 'SERVER_UNTRUSTED']);
    expect(unpinned.stderr).toContain(fingerprint());
    const wrong = await vigie([...https, 'login', '--fingerprint', 'A'.repeat(43)], token);
    expect([wrong.code, code(wrong)]).toEqual([1, 'FINGERPRINT_MISMATCH']);
    const refused = await vigie([...https, 'login', '--fingerprint', fingerprint()], { VIGIE_TOKEN: 'x'.repeat(40) });
    expect([refused.code, code(refused)]).toEqual([1, 'UNAUTHORIZED']);
    const none = await vigie(['device', 'list']);
    expect([none.code, code(none)]).toEqual([2, 'TOKEN_MISSING']);

    const done = await vigie(['--json', ...https, 'login', '--fingerprint', fingerprint()], token);
    expect([done.code, done.stderr]).toEqual([0, '']);
    const { file } = JSON.parse(done.stdout);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(JSON.parse((await vigie(['device', 'list', '--json'])).stdout)).toEqual({ items: [] });
    // The token is for that server alone.
    const elsewhere = await vigie(['--server', server.httpUrl, 'device', 'list']);
    expect([elsewhere.code, code(elsewhere)]).toEqual([2, 'TOKEN_MISSING']);
    const ca = join(home, 'authority.pem');
    await writeFile(ca, server.authority);
    expect((await vigie([...https, '--ca', ca, 'device', 'list'], token)).code).toBe(0);

    expect((await vigie(['logout'])).code).toBe(0);
    await expect(readFile(file)).rejects.toThrow('ENOENT');
  });

  it('ends with 2 on misuse', { timeout: 60_000 }, async () => {
    for (const args of [
      ['nothing'],
      ['device'],
      ['device', 'list', '--wrong'],
      ['device', 'show'],
      ['completion', 'csh'],
    ])
      expect((await vigie(args)).code, args.join(' ')).toBe(2);
    const release = await vigie(['rollout', 'assign', 'no-version', 'b'], { VIGIE_TOKEN: adminToken });
    expect([release.code, code(release)]).toEqual([2, 'RELEASE_INVALID']);
    expect((await vigie(['device', 'list', '--help'])).code).toBe(0);
  });
});

describe('completion', () => {
  const program = new Command('vigie').option('--server <url>').option('--json');
  const device = program.command('device').description("boards: the fleet's");
  device.command('list').option('--tag <tag>', 'with "this" tag');
  device.command('show <id>');
  program.command('release').command('upload <file>');

  const completed = (...words: string[]) => {
    const script = `${completionScript(program, 'bash')}
COMP_WORDS=(${['vigie', ...words].map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length}
_vigie; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { status, stdout, stderr } = spawnSync('bash', ['-c', script], { encoding: 'utf8' });
    expect([status, stderr]).toEqual([0, '']);
    return stdout.split('\n').filter((line) => line !== '');
  };

  it('follows the words that were typed in bash', () => {
    expect(completed('')).toEqual(expect.arrayContaining(['device', 'release', '--server', '--json']));
    expect(completed('dev')).toEqual(['device']);
    expect(completed('device', '')).toEqual(['list', 'show', '--server', '--json', '--help']);
    expect(completed('--server', 'release', 'device', 'l')).toEqual(['list']);
    expect(completed('device', 'list', '--t')).toEqual(['--tag']);
    expect(completed('device', 'list', '--tag', 'x')).toEqual([]);
    expect(completed('release', 'device', '')).toEqual(expect.arrayContaining(['upload']));
  });

  it.each(['zsh', 'fish'] as const)('is read by %s', (shell) => {
    const { error, status, stderr } = spawnSync(shell, ['-n'], {
      encoding: 'utf8',
      input: completionScript(program, shell),
    });
    if ((error as NodeJS.ErrnoException | undefined)?.code === 'ENOENT') {
      console.warn(`skipped: no ${shell} on this machine to read its completion script`);
      return;
    }
    expect([status, stderr]).toEqual([0, '']);
  });
});
