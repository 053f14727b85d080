import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { RunningServer } from '@vigie/fleet-server/main';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Api, dataFolder, dropTemplate, EXTERNAL_ENGINES, Listener, start } from './server-fixture.js';

let directory: string;
let server: RunningServer;
let admin: Api;
let clockMs = 0;
const MINUTE = 60_000;
const PASSWORD = 'correct horse battery';

beforeAll(async () => {
  const made = await dataFolder();
  directory = made.dataDirectory;
  const access = { sessionIdleMinutes: 30, sessionHours: 2, loginFailures: 3, lockoutMinutes: 5, scryptLogN: 12 };
  server = await start(directory, { access }, () => new Date(Date.now() + clockMs));
  admin = new Api(server.httpUrl, made.adminToken);
  for (const [name, role] of [
    ['alice', 'operator'],
    ['bob', 'viewer'],
    ['carol', 'admin'],
  ])
    expect((await admin.call('POST', '/api/v1/users', { name, role, password: PASSWORD })).status).toBe(201);
});

afterAll(async () => {
  await server?.close();
  await rm(join(directory, '..'), { recursive: true, force: true });
  await dropTemplate();
});

/** A browser as far as the API can tell. */
class Browser {
  cookie = '';
  csrf = '';

  async call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
    const response = await fetch(`${server.httpUrl}/api/v1${path}`, {
      method,
      headers: {
        ...(this.cookie === '' ? {} : { cookie: `theme=dark; ${this.cookie}` }),
        ...(this.csrf === '' ? {} : { 'x-vigie-csrf': this.csrf }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await response.text();
    return { status: response.status, body: text === '' ? {} : JSON.parse(text), headers: response.headers };
  }

  async login(user: string, password = PASSWORD) {
    const answer = await this.call('POST', '/session', { user, password });
    const cookie = answer.headers.get('set-cookie');
    if (cookie !== null) this.cookie = cookie.split(';')[0];
    this.csrf = answer.body.csrfToken ?? '';
    return answer;
  }
}

async function loggedIn(user: string): Promise<Browser> {
  const browser = new Browser();
  expect((await browser.login(user)).status).toBe(200);
  return browser;
}

describe('logins', () => {
  it('give a cookie that scripts cannot read and no other site can use', async () => {
    const browser = new Browser();
    const answer = await browser.login('Alice');
    expect(answer.body).toMatchObject({ name: 'alice', role: 'operator', kind: 'session' });
    expect(answer.headers.get('set-cookie')).toMatch(
      /^vigie_session=vgs_[\w-]{43}; Path=\/; Max-Age=7200; HttpOnly; SameSite=Strict$/,
    );
    expect((await browser.call('GET', '/session')).body.csrfToken).toBe(browser.csrf);
    expect((await browser.call('GET', '/devices')).status).toBe(200);
  });

  it('over TLS: the cookie is bound to this host and to TLS', async () => {
    const { request } = await import('node:https');
    const cookie = await new Promise<string>((resolve, reject) => {
      const asked = request(
        new URL('/api/v1/session', server.httpsUrl),
        { method: 'POST', ca: server.authority, headers: { 'content-type': 'application/json' } },
        (answer) => resolve(String(answer.headers['set-cookie'])),
      );
      asked.once('error', reject);
      asked.end(JSON.stringify({ user: 'alice', password: PASSWORD }));
    });
    expect(cookie).toMatch(/^__Host-vigie_session=.*; Path=\/;.*HttpOnly; SameSite=Strict; Secure$/);
  });

  it('end with the logout, an hour of silence, or their time', async () => {
    const left = await loggedIn('alice');
    expect((await left.call('DELETE', '/session')).status).toBe(204);
    expect((await left.call('GET', '/session')).status).toBe(401);

    const idle = await loggedIn('alice');
    const busy = await loggedIn('alice');
    clockMs += 20 * MINUTE;
    expect((await busy.call('GET', '/session')).status).toBe(200);
    clockMs += 11 * MINUTE;
    expect((await idle.call('GET', '/session')).status).toBe(401);
    for (let minutes = 31; minutes < 119; minutes += 20) {
      expect((await busy.call('GET', '/session')).status).toBe(200);
      clockMs += 20 * MINUTE;
    }
    expect((await busy.call('GET', '/session')).status).toBe(401);
  });

  it('are listed and ended by their owner, or by an admin', async () => {
    const alice = await loggedIn('alice');
    const bob = await loggedIn('bob');
    const mine = (await bob.call('GET', '/sessions')).body.items;
    expect(mine.map((one: { user: string }) => one.user)).toEqual(['bob']);
    const hers = (await alice.call('GET', '/sessions')).body.items[0].id;
    expect((await bob.call('DELETE', `/sessions/${hers}`)).status).toBe(404);
    expect((await alice.call('GET', '/session')).status).toBe(200);
    expect(((await admin.call('GET', '/api/v1/sessions')).body.items as unknown[]).length).toBeGreaterThan(1);
    expect((await admin.call('DELETE', `/api/v1/sessions/${hers}`)).status).toBe(204);
    expect((await alice.call('GET', '/session')).status).toBe(401);
    expect((await bob.call('DELETE', `/sessions/${mine[0].id}`)).status).toBe(204);
    expect((await bob.call('GET', '/session')).status).toBe(401);
  });

  it('end with a new password, and count no more for who is disabled or removed', async () => {
    const name = 'dora';
    await admin.call('POST', '/api/v1/users', { name, role: 'viewer', password: PASSWORD });
    const [one, two] = [await loggedIn(name), await loggedIn(name)];
    const next = 'another long phrase';
    const wrong = await one.call('POST', '/session/password', { current: 'wrong password', password: next });
    expect([wrong.status, wrong.body.code]).toEqual([401, 'LOGIN_FAILED']);
    const body = { current: PASSWORD, password: next };
    expect((await one.call('POST', '/session/password', body)).status).toBe(204);
    expect((await one.call('GET', '/session')).status).toBe(200);
    expect((await two.call('GET', '/session')).status).toBe(401);
    expect((await two.login(name)).status).toBe(401);
    expect((await two.login(name, next)).status).toBe(200);
    await admin.call('PATCH', `/api/v1/users/${name}`, { role: 'operator' });
    expect((await two.call('GET', '/session')).body.role).toBe('operator');
    await admin.call('PATCH', `/api/v1/users/${name}`, { disabled: true });
    expect((await two.call('GET', '/session')).status).toBe(401);
    expect((await two.login(name, next)).body.code).toBe('LOGIN_FAILED');
    await admin.call('PATCH', `/api/v1/users/${name}`, { disabled: false });
    expect((await two.login(name, next)).status).toBe(200);
    expect((await admin.call('DELETE', `/api/v1/users/${name}`)).status).toBe(204);
    expect((await two.call('GET', '/session')).status).toBe(401);
    expect((await two.login(name, next)).body.code).toBe('LOGIN_FAILED');
  });

  it('lock an account for a network after failures, known or not, and answer alike', async () => {
    clockMs += 60 * MINUTE;
    await admin.call('POST', '/api/v1/users', { name: 'erin', role: 'viewer', password: PASSWORD });
    const statuses: Record<string, [number, string, string][]> = {};
    for (const user of ['erin', 'nobody']) {
      statuses[user] = [];
      for (let index = 0; index < 4; index += 1) {
        const { status, body } = await new Browser().login(user, 'wrong password');
        statuses[user].push([status, body.code, body.detail.replace(/\d+ s/, 'N s')]);
      }
    }
    expect(statuses.erin.map(([status]) => status)).toEqual([401, 401, 401, 429]);
    expect(statuses.nobody).toEqual(statuses.erin);
    // The right password does not help while it is locked; afterwards it does, and the count begins anew.
    const locked = await new Browser().login('erin');
    expect([locked.status, Number(locked.headers.get('retry-after')) > 200]).toEqual([429, true]);
    clockMs += 5 * MINUTE + 1000;
    expect((await new Browser().login('erin')).status).toBe(200);
    expect((await new Browser().login('erin', 'wrong password')).status).toBe(401);
    expect((await new Browser().login('erin')).status).toBe(200);
  });

  it('let no more guesses through when they come at once', async () => {
    clockMs += 60 * MINUTE;
    const answers = await Promise.all(Array.from({ length: 10 }, () => new Browser().login('bob', 'wrong password')));
    expect(answers.filter(({ status }) => status === 401)).toHaveLength(3);
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(7);
  });
});

describe('changes with a cookie', () => {
  it('need the token of the login and a page of this server', async () => {
    clockMs += 60 * MINUTE;
    const browser = await loggedIn('alice');
    const change = (headers: Record<string, string>) => browser.call('POST', '/enrollment-tokens', {}, headers);
    expect((await change({})).status).toBe(201);
    expect((await change({ origin: server.httpUrl })).status).toBe(201);
    expect((await change({ 'sec-fetch-site': 'same-origin' })).status).toBe(201);
    const forged: Record<string, string>[] = [
      { 'x-vigie-csrf': '' },
      { 'x-vigie-csrf': 'x'.repeat(43) },
      { origin: 'https://evil.example' },
      { origin: 'null' },
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
    ];
    for (const headers of forged) {
      const { status, body } = await change(headers);
      expect([headers, status, body.code]).toEqual([headers, 403, 'CSRF_INVALID']);
    }
    const other = await loggedIn('alice');
    expect((await change({ 'x-vigie-csrf': other.csrf })).status).toBe(403);
    const login = await new Browser().call(
      'POST',
      '/session',
      { user: 'alice', password: PASSWORD },
      { origin: 'https://evil.example' },
    );
    expect(login.body.code).toBe('CSRF_INVALID');
  });
});

describe('users and tokens', () => {
  it('refuse weak passwords without repeating them', async () => {
    const weak = ['short', 'password1234', 'aaaaaaaaaaaaaaa', '123456789012', 'frank-frank1', 'motdepasse2026!'];
    for (const password of weak) {
      const { status, body } = await admin.call('POST', '/api/v1/users', { name: 'frank', role: 'viewer', password });
      expect([password, status, body.code]).toEqual([password, 422, 'PASSWORD_WEAK']);
      expect(JSON.stringify(body)).not.toContain(password);
    }
    const broken = await admin.call('POST', '/api/v1/users', { name: 'frank', role: 'viewer', password: 7_777_777 });
    expect(broken.status).toBe(400);
    expect(JSON.stringify(broken.body)).not.toContain('7777777');
  });

  it('are for admins; a token has its role until it is revoked or expires', async () => {
    clockMs += 60 * MINUTE;
    const made: Record<string, Api> = {};
    const ids: Record<string, string> = {};
    for (const role of ['viewer', 'operator', 'publisher', 'ci', 'admin']) {
      const { status, body } = await admin.call('POST', '/api/v1/tokens', { name: `job ${role}`, role, days: 1 });
      expect(status).toBe(201);
      made[role] = new Api(server.httpUrl, body.token);
      ids[role] = body.id;
    }
    for (const role of ['viewer', 'operator', 'publisher', 'ci']) {
      expect((await made[role].call('GET', '/api/v1/devices')).status).toBe(200);
      for (const path of ['/users', '/tokens', '/audit'])
        expect([role, path, (await made[role].call('GET', `/api/v1${path}`)).status]).toEqual([role, path, 403]);
      const user = { name: 'mallory', role: 'admin', password: PASSWORD };
      expect((await made[role].call('POST', '/api/v1/users', user)).status).toBe(403);
      expect((await made[role].call('POST', '/api/v1/tokens', { name: 'more', role: 'admin' })).status).toBe(403);
    }
    const login = (api: Api) =>
      Listener.connect(server.mqttUrl, {
        clientId: 'desk',
        username: 'operator',
        password: api.token!,
        connectTimeout: 5000,
      }).then(
        (listener) => listener.end().then(() => 'let in'),
        (error: { code: number }) => error.code,
      );
    // On an external broker operators have certificates, and no tokens (docs/mosquitto.md).
    if (!EXTERNAL_ENGINES) {
      expect(await login(made.viewer)).toBe(4);
      expect(await login(made.operator)).toBe('let in');
    }
    const listed = await admin.call('GET', '/api/v1/tokens');
    expect(JSON.stringify(listed.body)).not.toContain(made.viewer.token!.slice(5));
    // A token that was used a moment ago ends no later than any other.
    expect((await made.viewer.call('GET', '/api/v1/devices')).status).toBe(200);
    expect((await admin.call('DELETE', `/api/v1/tokens/${ids.viewer}`)).status).toBe(200);
    expect((await made.viewer.call('GET', '/api/v1/devices')).status).toBe(401);
    clockMs += 24 * 60 * MINUTE;
    expect((await made.admin.call('GET', '/api/v1/users')).status).toBe(401);
    if (!EXTERNAL_ENGINES) expect(await login(made.operator)).toBe(4);
    expect((await admin.call('GET', '/api/v1/session')).body).toMatchObject({ kind: 'token', role: 'admin' });
  });
});
