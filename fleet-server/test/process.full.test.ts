import { readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import {
  Api,
  dataFolder,
  dropTemplate,
  runCli,
  spawnServer,
  temporaryFolder,
  until,
  zooPackage,
} from './server-fixture.js';

afterAll(dropTemplate);

describe('vigie-server', () => {
  it('makes a private data folder once', async () => {
    const { dataDirectory } = await dataFolder();
    for (const part of ['keys', 'tuf', 'database'])
      expect((await stat(join(dataDirectory, part))).mode & 0o777, part).toBe(0o700);
    for (const name of await readdir(join(dataDirectory, 'keys')))
      expect((await stat(join(dataDirectory, 'keys', name))).mode & 0o777).toBe(0o600);
    const again = await runCli('server-cli.js', ['init', '--data', dataDirectory]);
    expect([again.code, again.stderr.trim().split('\n').length]).toEqual([2, 1]);
    const token = await runCli('server-cli.js', ['token', '--data', dataDirectory, '--json']);
    expect(JSON.parse(token.stdout).adminToken).toMatch(/^vga_[\w-]{43}$/);
    await rm(join(dataDirectory, '..'), { recursive: true, force: true });
  });

  it('ends with one line and exit 2 on what is not right', async () => {
    const folder = await temporaryFolder();
    const config = join(folder, 'server.yaml');
    const cases: [string, RegExp][] = [
      ['htpp: {}\n', /htpp: unknown key/],
      ['http: {port: 99999}\n', /http\.port: 99999 is not a whole number in 0\.\.65535/],
      ['http: {port: "80"}\n', /http\.port: "80" is not/],
      ['http: {host: 0.0.0.0}\n', /http\.host: "0\.0\.0\.0" is beyond loopback, and http is without TLS/],
      ['mqtt: {host: "::"}\n', /mqtt\.host: "::" is beyond loopback/],
      ['log: {level: loud}\n', /log\.level: "loud" is not one of fatal, error/],
      ['http: 8080\n', /http: 8080 is not object/],
      ['- 1\n', /holds no mapping/],
      ['a: [\n', /not YAML/],
    ];
    for (const [text, expected] of cases) {
      await writeFile(config, text);
      const { code, stderr } = await runCli('server-cli.js', ['run', '--config', config, '--data', folder]);
      expect([text, code, stderr.trim().split('\n').length]).toEqual([text, 2, 1]);
      expect(stderr).toMatch(expected);
    }
    const missing = await runCli('server-cli.js', ['run', '--config', join(folder, 'none.yaml')]);
    expect([missing.code, missing.stderr]).toEqual([2, expect.stringMatching(/none\.yaml: cannot be read \(ENOENT\)/)]);
    const empty = await runCli('server-cli.js', ['run', '--data', folder]);
    expect([empty.code, empty.stderr]).toEqual([
      2,
      expect.stringMatching(/no initialised data folder; make one with: vigie-server init/),
    ]);
    await rm(folder, { recursive: true, force: true });
  });
});

describe('vigie', () => {
  it('drives the fleet from the command line', { timeout: 120_000 }, async () => {
    const { dataDirectory, adminToken } = await dataFolder();
    const server = await spawnServer(dataDirectory);
    const second = await runCli('server-cli.js', [
      'run',
      '--data',
      dataDirectory,
      '--http-port',
      '0',
      '--mqtt-port',
      '0',
    ]);
    expect([second.code, second.stderr]).toEqual([
      2,
      expect.stringMatching(/another vigie-server runs on this data folder/),
    ]);
    const vigie = (...args: string[]) =>
      runCli('operator-cli.js', args, { VIGIE_SERVER: server.http, VIGIE_TOKEN: adminToken });
    try {
      const { bytes, name, version } = await zooPackage('int8');
      const file = join(dataDirectory, '..', 'package.vigie');
      await writeFile(file, bytes);
      expect((await vigie('release', 'upload', file)).stdout).toMatch(new RegExp(`^${name}@${version} int8 released`));
      await new Api(server.http, adminToken).enroll('board-1');
      expect((await vigie('rollout', 'assign', `${name}@${version}`, 'board-1')).stdout).toMatch(/board-1\s+1/);
      expect((await vigie('device', 'list')).stdout).toMatch(
        new RegExp(`board-1\\s+generic-x64\\s+offline\\s+${name}@${version}\\s+1`),
      );
      expect(JSON.parse((await vigie('--json', 'device', 'show', 'board-1')).stdout)).toMatchObject({
        id: 'board-1',
        desired: { generation: 1 },
      });
      expect((await vigie('release', 'list')).stdout).toContain('default-policy');
      expect((await vigie('token', 'create')).stdout).toMatch(/^vge_/);
      expect((await vigie('event', 'list')).stdout).toMatch(/^AT/);
      expect((await vigie('release', 'withdraw', name, version)).stdout).toMatch(/withdrawn/);
      const refused = await vigie('rollout', 'assign', `${name}@${version}`, 'board-1');
      expect([refused.code, refused.stdout, refused.stderr.split(':')[1].trim()]).toEqual([
        1,
        '',
        'RELEASE_NOT_RELEASED',
      ]);
      expect((await vigie('--token', 'wrong-token-wrong-token', 'device', 'list')).stderr).toMatch(
        /^vigie: UNAUTHORIZED: .*\n$/,
      );
      expect((await vigie('--server', 'http://127.0.0.1:9', 'device', 'list')).stderr).toMatch(
        /^vigie: SERVER_UNREACHABLE: .*\n$/,
      );
      expect((await vigie('--help')).stdout).toContain('rollout');
    } finally {
      await server.kill('SIGTERM');
      await until('the end', () => server.child.exitCode !== null);
      await rm(join(dataDirectory, '..'), { recursive: true, force: true });
    }
  });
});
