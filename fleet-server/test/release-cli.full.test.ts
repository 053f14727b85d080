import { rm, writeFile } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import type { RunningServer } from '@vigie/fleet-server/main';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Api, dataFolder, dropTemplate, runCli, start, temporaryFolder, zooPackage } from './server-fixture.js';

let directory: string;
let folder: string;
let server: RunningServer;
let token: string;
let proxy: Server;
let cuts = 0;

/** Lets the server's answers through, and cuts the first two connections on which much is sent. */
async function cuttingProxy(port: number): Promise<Server> {
  const listening = createServer((client) => {
    const upstream = connect(port, '127.0.0.1');
    let sent = 0;
    for (const socket of [client, upstream]) socket.on('error', () => undefined);
    client.on('data', (bytes) => {
      sent += bytes.length;
      upstream.write(bytes);
      if (sent < 100_000 || cuts >= 2) return;
      cuts += 1;
      client.destroy();
      upstream.end();
    });
    client.on('end', () => upstream.end());
    upstream.pipe(client);
  });
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
  return listening;
}

beforeAll(async () => {
  const made = await dataFolder();
  directory = made.dataDirectory;
  token = made.adminToken;
  folder = await temporaryFolder();
  server = await start(directory);
  proxy = await cuttingProxy(Number(new URL(server.httpUrl).port));
});
afterAll(async () => {
  proxy?.close();
  await server?.close();
  for (const used of [folder, join(directory, '..')]) await rm(used, { recursive: true, force: true });
  await dropTemplate();
});

const vigie = (url: string, ...args: string[]) =>
  runCli('operator-cli.js', args, { VIGIE_SERVER: url, VIGIE_TOKEN: token });

describe('vigie release', () => {
  it('uploads through cuts, shows, compares, promotes and withdraws', async () => {
    const fp32 = await zooPackage('fp32');
    const int8 = await zooPackage('int8');
    const file = join(folder, 'fp32.vigie');
    await writeFile(file, fp32.bytes);
    const cutUrl = `http://127.0.0.1:${(proxy.address() as { port: number }).port}`;
    const uploaded = await vigie(cutUrl, 'release', 'upload', file, '--notes', 'first', '--json');
    expect([uploaded.code, cuts], uploaded.stderr).toEqual([0, 2]);
    expect(JSON.parse(uploaded.stdout)).toMatchObject({ digest: fp32.digest, notes: 'first', created: true });
    const again = await vigie(server.httpUrl, 'release', 'upload', file);
    expect(again.stdout).toContain('(it was there already)');
    expect(again.stderr).toContain('100 % of');

    const broken = join(folder, 'broken.vigie');
    await writeFile(broken, 'no package');
    const refused = await vigie(server.httpUrl, 'release', 'upload', broken);
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('PACKAGE_INVALID')]);

    expect((await new Api(server.httpUrl, token).call('POST', '/api/v1/releases', int8.bytes)).status).toBe(201);
    const [a, b] = [fp32, int8].map(({ name, version }) => `${name}@${version}`);
    const compared = await vigie(server.httpUrl, 'release', 'compare', a, b);
    expect(compared.stdout).toContain('| packageBytes (bytes) |');
    expect((await vigie(server.httpUrl, 'release', 'compare', a, b, '--format', 'csv')).stdout).toMatch(
      /^group,metric,/,
    );
    expect((await vigie(server.httpUrl, 'release', 'promote', b)).code, 'no reason').toBe(2);
    const promoted = await vigie(server.httpUrl, 'release', 'promote', b, '--reason', 'faster', '--compared-with', a);
    expect([promoted.code, promoted.stdout], promoted.stderr).toEqual([
      0,
      expect.stringContaining('is champion: faster'),
    ]);
    expect((await vigie(server.httpUrl, 'release', 'promotions')).stdout).toContain('faster');
    expect((await vigie(server.httpUrl, 'release', 'notes', b, 'night shift')).code).toBe(0);
    const shown = (await vigie(server.httpUrl, 'release', 'show', b)).stdout;
    expect(shown).toMatch(/aliases +champion\n/);
    expect(shown).toMatch(/notes +night shift\n/);
    const gone = await vigie(server.httpUrl, 'release', 'withdraw', int8.name, int8.version, '--reason', 'too noisy');
    expect(gone.stdout).toContain('withdrawn');
    const imported = await vigie(server.httpUrl, 'release', 'import', 'yard');
    expect([imported.code, imported.stderr]).toEqual([1, expect.stringContaining('MLFLOW_NOT_CONFIGURED')]);
  }, 120_000);
});
