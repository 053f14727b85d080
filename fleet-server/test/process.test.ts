import { readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { chunkTopic, decodeMessage, deviceTopic, type EnrollResponse } from '@vigie/protocol';
import { afterAll, describe, expect, it } from 'vitest';
import {
  Api,
  dataFolder,
  dropTemplate,
  Listener,
  runCli,
  spawnServer,
  temporaryFolder,
  until,
  zooPackage,
} from './server-fixture.js';
import { fetchRelease, verifiedTargets } from './tuf-client.js';

afterAll(dropTemplate);

const generationOf = (bytes: Buffer): number => {
  const envelope = decodeMessage('desired', bytes);
  if (!envelope.ok) throw new Error(envelope.detail);
  return JSON.parse(Buffer.from(envelope.message.payload, 'base64').toString()).generation;
};

describe('SIGKILL', () => {
  it('at any moment of uploads and assignments leaves a folder that starts, with all that was answered', {
    timeout: 240_000,
  }, async () => {
    const { dataDirectory, adminToken } = await dataFolder();
    const packages = [await zooPackage('fp32'), await zooPackage('int8')];
    let server = await spawnServer(dataDirectory);
    let enrolled: EnrollResponse = await new Api(server.http, adminToken).enroll('board-1');
    const uploaded = new Set<string>();
    let generation = 0;
    let interrupted = 0;
    // Kills after growing delays hit the upload, the sandbox, the object store, the database and the publication.
    for (const delay of [30, 120, 300, 500, 700, 900, 1200, 40, 90, 150]) {
      const api = new Api(server.http, adminToken);
      const work = (async () => {
        for (const { bytes, name, version } of uploaded.size === 1 ? packages.toReversed() : packages) {
          const answer = await api.call('POST', '/api/v1/releases', bytes);
          if (answer.status === 200 || answer.status === 201) uploaded.add(version);
          for (let round = 0; round < 10; round += 1) {
            const assigned = await api.call('POST', '/api/v1/assignments', { devices: ['board-1'], name, version });
            if (assigned.status === 202)
              generation = (assigned.body as unknown as { assignments: { generation: number }[] }).assignments[0]
                .generation;
          }
        }
      })().catch(() => {
        interrupted += 1;
      });
      await new Promise((resolve) => setTimeout(resolve, delay));
      await server.kill('SIGKILL');
      await work;
      server = await spawnServer(dataDirectory);
      const check = new Api(server.http, adminToken);
      const { items } = (await check.call('GET', '/api/v1/releases')).body as unknown as {
        items: { version: string }[];
      };
      expect(items.map((one) => one.version)).toEqual(expect.arrayContaining([...uploaded]));
      const device = (await check.call('GET', '/api/v1/devices/board-1')).body as unknown as {
        desired: { generation: number } | null;
      };
      expect(device.desired?.generation ?? 0).toBeGreaterThanOrEqual(generation);
      generation = device.desired?.generation ?? 0;
      if (generation > 0) {
        const board = await Listener.device({ ...enrolled, mqtt: { url: server.mqtts } });
        expect(generationOf(await board.fetch(deviceTopic('board-1', 'desired')))).toBe(generation);
        const { targets } = await verifiedTargets(board, enrolled.tufRoot);
        expect(Object.keys(targets)).toHaveLength(items.length);
        await board.end();
      }
    }
    expect(interrupted, 'no kill met work under way').toBeGreaterThan(0);
    // And it still works: both packages, a new board, a new assignment, every byte right.
    const api = new Api(server.http, adminToken);
    for (const { bytes } of packages)
      expect([200, 201]).toContain((await api.call('POST', '/api/v1/releases', bytes)).status);
    enrolled = await api.enroll('board-2');
    const [{ name, version }] = packages;
    expect((await api.call('POST', '/api/v1/assignments', { devices: ['board-2'], name, version })).status).toBe(202);
    const board = await Listener.device(enrolled);
    const trusted = await verifiedTargets(board, enrolled.tufRoot);
    await fetchRelease(board, trusted, `releases/${name}/${version}.json`);
    await board.fetch(chunkTopic(trusted.targets[`releases/${name}/${version}.json`].hashes.sha256));
    await board.end();
    await server.kill('SIGTERM');
    expect(server.child.exitCode).toBe(0);
    expect(await readdir(join(dataDirectory, 'tmp'))).toEqual([]);
    await rm(join(dataDirectory, '..'), { recursive: true, force: true });
  });
});

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
