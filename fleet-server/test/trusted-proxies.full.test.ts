import { rm } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import type { RunningServer } from '@vigie/fleet-server/main';
import type { AuditRecord } from '@vigie/fleet-server/services/audit-entry';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Api, dataFolder, dropTemplate, start } from './server-fixture.js';

const PROXY = '127.0.0.2';
const USER = { user: 'gina', password: 'a long enough phrase' };
let directory: string;
let server: RunningServer;
let admin: Api;

/** Starts anew with these settings. */
async function serve(access: object): Promise<void> {
  await server?.close();
  server = await start(directory, { access: { scryptLogN: 12, refusedBurst: 2, ...access } });
  admin = new Api(server.httpUrl, admin.token);
}

beforeAll(async () => {
  const made = await dataFolder();
  directory = made.dataDirectory;
  admin = new Api('', made.adminToken);
  await serve({});
  const { user: name, password } = USER;
  expect((await admin.call('POST', '/api/v1/users', { name, password, role: 'viewer' })).status).toBe(201);
});

afterAll(async () => {
  await server?.close();
  await rm(join(directory, '..'), { recursive: true, force: true });
  await dropTemplate();
});

/** A request from one of this machine's own addresses. */
function from(localAddress: string, headers: Record<string, string>, method: string, path: string, body?: object) {
  return new Promise<{ status: number; cookie: string; text: string }>((resolve, reject) => {
    const url = new URL(`/api/v1${path}`, server.httpUrl);
    const asked = request(url, { method, localAddress, agent: false, headers }, (answer) => {
      let text = '';
      answer.on('data', (bytes) => {
        text += bytes;
      });
      answer.once('end', () =>
        resolve({ status: answer.statusCode as number, cookie: answer.headers['set-cookie']?.[0] ?? '', text }),
      );
    });
    asked.once('error', reject);
    if (body !== undefined) asked.setHeader('content-type', 'application/json');
    asked.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

const forwarded = (address: string) => ({ 'x-forwarded-for': address, 'x-forwarded-proto': 'https' });
const newest = async () => ((await admin.call('GET', '/api/v1/audit?limit=1')).body.items as AuditRecord[])[0].entry;
/** Is one who shows wrong tokens stopped as one network, though each time he says another address? */
async function stoppedAsOne(address: string): Promise<boolean> {
  const statuses: number[] = [];
  for (let index = 0; index < 6; index += 1) {
    const headers = { ...forwarded(`203.0.113.${index}`), authorization: `Bearer ${'x'.repeat(40)}` };
    statuses.push((await from(address, headers, 'GET', '/devices')).status);
  }
  return statuses.includes(429);
}

it('believes nobody by default: not the address of the log, of the limits, nor the cookie', async () => {
  for (const address of ['127.0.0.1', PROXY]) {
    const login = await from(address, forwarded('203.0.113.7'), 'POST', '/session', USER);
    expect([login.status, login.cookie]).toMatchObject([200, expect.stringMatching(/^vigie_session=/)]);
    expect(login.cookie).not.toContain('Secure');
    expect(await newest()).toMatchObject({ actor: 'gina', address });
    expect(await stoppedAsOne(address)).toBe(true);
  }
});

it('believes a proxy that is named, its own word only, and nobody else', async () => {
  await serve({ trustedProxies: [`${PROXY}/32`] });
  const login = await from(PROXY, forwarded('198.51.100.9, 203.0.113.7'), 'POST', '/session', USER);
  expect([login.status, login.cookie]).toMatchObject([200, expect.stringMatching(/^__Host-vigie_session=.*; Secure/)]);
  // What a client wrote before its own address stands to the left of what the proxy added.
  expect(await newest()).toMatchObject({ actor: 'gina', address: '203.0.113.7' });
  const cookie = login.cookie.split(';')[0];
  const shown = await from(PROXY, { ...forwarded('203.0.113.7'), cookie }, 'GET', '/session');
  const { csrfToken } = JSON.parse(shown.text) as { csrfToken: string };
  expect(shown.status).toBe(200);
  const page = { cookie, 'x-vigie-csrf': csrfToken, origin: `https://${new URL(server.httpUrl).host}` };
  expect((await from(PROXY, { ...forwarded('203.0.113.7'), ...page }, 'DELETE', '/session')).status).toBe(204);
  expect(await stoppedAsOne(PROXY)).toBe(false);

  const other = await from('127.0.0.1', forwarded('203.0.113.7'), 'POST', '/session', USER);
  expect(other.cookie).toMatch(/^vigie_session=/);
  expect(await newest()).toMatchObject({ actor: 'gina', address: '127.0.0.1' });
  expect(await stoppedAsOne('127.0.0.1')).toBe(true);
});
