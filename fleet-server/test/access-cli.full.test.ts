import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RunningServer } from '@vigie/fleet-server/main';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Api, dataFolder, dropTemplate, runCli, start } from './server-fixture.js';

let directory: string;
let server: RunningServer;
let token: string;

beforeAll(async () => {
  const made = await dataFolder();
  directory = made.dataDirectory;
  token = made.adminToken;
  server = await start(directory, { access: { scryptLogN: 12 } });
});

afterAll(async () => {
  await server?.close();
  await rm(join(directory, '..'), { recursive: true, force: true });
  await dropTemplate();
});

const vigie = (...args: string[]) =>
  runCli('operator-cli.js', args, { VIGIE_SERVER: server.httpUrl, VIGIE_TOKEN: token, HOME: directory });

it('users, tokens and the audit log from the command line', async () => {
  const added = await vigie('user', 'add', 'hana', '--role', 'operator', '--json');
  const { password } = JSON.parse(added.stdout) as { password: string };
  const login = await new Api(server.httpUrl, null).call('POST', '/api/v1/session', { user: 'hana', password });
  expect(login.status).toBe(200);
  expect((await vigie('user', 'list')).stdout).toMatch(/^hana\s+operator\s+active/m);
  expect((await vigie('session', 'list')).stdout).toMatch(/ hana +operator /);
  expect((await vigie('user', 'disable', 'hana')).stdout).toBe('hana disabled\n');
  expect((await vigie('session', 'list', '--json')).stdout).toBe('{"items":[]}\n');

  expect((await vigie('token', 'create')).stdout).toMatch(/^vge_[\w-]{43}\.[\w-]+\n$/);
  const api = (await vigie('token', 'create', '--role', 'viewer', '--name', 'wall screen')).stdout.trim();
  expect((await new Api(server.httpUrl, api).call('GET', '/api/v1/session')).body).toMatchObject({ role: 'viewer' });
  const listed = JSON.parse((await vigie('token', 'list', '--json')).stdout) as {
    items: { id: string; name: string }[];
  };
  const { id } = listed.items.find(({ name }) => name === 'wall screen')!;
  expect((await vigie('token', 'revoke', id)).stdout).toMatch(/^wall screen revoked/);
  expect((await new Api(server.httpUrl, api).call('GET', '/api/v1/session')).status).toBe(401);
  const misuse = await vigie('token', 'create', '--name', 'x');
  expect([misuse.code, misuse.stderr.split(':')[1].trim()]).toEqual([2, 'ROLE_MISSING']);

  expect((await vigie('audit', 'list', '--subject', 'hana')).stdout).toContain('PATCH /api/v1/users/:name');
  const file = join(directory, 'audit.jsonl');
  const exported = (await vigie('audit', 'export')).stdout;
  await writeFile(file, exported);
  const good = await vigie('audit', 'verify', file);
  expect([good.code, good.stdout]).toEqual([0, (await vigie('audit', 'verify')).stdout]);
  await writeFile(file, (await readFile(file, 'utf8')).replace('hana', 'hans'));
  const bad = await vigie('audit', 'verify', file);
  expect([bad.code, bad.stderr]).toEqual([1, expect.stringContaining('HASH_WRONG: row 1 was changed')]);
}, 180_000);
