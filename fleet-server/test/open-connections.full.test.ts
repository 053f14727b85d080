import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { RunningServer } from '@vigie/fleet-server/main';
import { type HeldConnection, OpenConnections } from '@vigie/fleet-server/services/open-connections';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Api, dataFolder, dropTemplate, EXTERNAL_ENGINES, Listener, start } from './server-fixture.js';

let directory: string;
let server: RunningServer;
let admin: Api;
let aheadMs = 0;

beforeAll(async () => {
  const made = await dataFolder();
  directory = made.dataDirectory;
  server = await start(directory, { access: { scryptLogN: 12 } }, () => new Date(Date.now() + aheadMs));
  admin = new Api(server.httpUrl, made.adminToken);
});

afterAll(async () => {
  await server?.close();
  await rm(join(directory, '..'), { recursive: true, force: true });
  await dropTemplate();
});

async function token(days?: number): Promise<{ id: string; token: string }> {
  const { body } = await admin.call('POST', '/api/v1/tokens', { name: 'desk', role: 'operator', days });
  return body as unknown as { id: string; token: string };
}

/** Begins to listen. `ended`: all that came, when the server ends it. */
async function listen(headers: Record<string, string>): Promise<{ ended: Promise<string> }> {
  const answer = await fetch(`${server.httpUrl}/api/v1/stream`, { headers });
  expect(answer.status).toBe(200);
  return { ended: answer.text() };
}
const bearer = (secret: string) => ({ authorization: `Bearer ${secret}` });
const END = /event: end\ndata: \{"code":"UNAUTHORIZED"/;

describe('a live stream ends with', () => {
  it("its token, revoked or expired, and nobody else's", async () => {
    const [revoked, expired] = [await token(), await token(1)];
    const other = await listen(bearer(admin.token as string));
    let left = false;
    const leaving = () => {
      left = true;
    };
    other.ended.then(leaving, leaving);
    const first = await listen(bearer(revoked.token));
    const second = await listen(bearer(expired.token));
    await admin.call('DELETE', `/api/v1/tokens/${revoked.id}`);
    expect(await first.ended).toMatch(END);
    aheadMs = 2 * 86_400_000;
    expect(await second.ended).toMatch(END);
    expect(left).toBe(false);
  });

  it('its login, when the user logs out or is disabled', async () => {
    const login = { user: 'gina', password: 'a long enough phrase' };
    await admin.call('POST', '/api/v1/users', { name: login.user, role: 'viewer', password: login.password });
    for (const end of [
      (headers: Record<string, string>) => fetch(`${server.httpUrl}/api/v1/session`, { method: 'DELETE', headers }),
      () => admin.call('PATCH', '/api/v1/users/gina', { disabled: true }),
    ]) {
      const { headers, body } = await admin.call('POST', '/api/v1/session', login);
      const cookie = headers.get('set-cookie')?.split(';')[0] ?? '';
      const reader = await listen({ cookie });
      expect((await end({ cookie, 'x-vigie-csrf': body.csrfToken })).status).toBeLessThan(300);
      expect(await reader.ended).toMatch(END);
    }
  });
});

describe.skipIf(EXTERNAL_ENGINES)('a session on the built-in broker ends with', () => {
  const connect = (clientId: string, password: string) =>
    Listener.connect(server.mqttUrl, { clientId, username: 'operator', password });

  it('the token that opened it, revoked or expired, and goes on with others', async () => {
    const [revoked, expired] = [await token(), await token(1)];
    const other = await connect('other', admin.token as string);
    const first = await connect('first', revoked.token);
    const second = await connect('second', expired.token);
    const ended = first.closed();
    const later = second.closed();
    await admin.call('DELETE', `/api/v1/tokens/${revoked.id}`);
    await ended;
    expect(second.client.connected).toBe(true);
    aheadMs += 2 * 86_400_000;
    await later;
    expect(other.client.connected).toBe(true);
    await expect(connect('first', revoked.token)).rejects.toMatchObject({ code: 4 });
    await Promise.all([first, second, other].map((one) => one.end()));
  });
});

describe('open connections', () => {
  it('end once, also when their right ended while they were opened, and not for a database that is away', async () => {
    const connections = new OpenConnections();
    const ended: string[] = [];
    const held = (name: string, counts: HeldConnection['counts']): HeldConnection => ({
      counts,
      end: () => ended.push(name),
    });
    connections.hold(held('late', async () => false));
    connections.hold(held('away', () => Promise.reject(new Error('no database'))));
    const letGo = connections.hold(held('gone', async () => true));
    await connections.check();
    expect([ended, connections.size]).toEqual([['late'], 2]);
    letGo();
    await connections.check();
    expect([ended, connections.size]).toEqual([['late'], 1]);
  });
});
