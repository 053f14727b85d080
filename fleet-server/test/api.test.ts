import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { RunningServer } from '@vigie/fleet-server/main';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Api, dataFolder, dropTemplate, holdAnswersToSchemas, start } from './server-fixture.js';

holdAnswersToSchemas();

let directory: string;
let server: RunningServer;
let api: Api;

beforeAll(async () => {
  const made = await dataFolder();
  directory = made.dataDirectory;
  server = await start(directory);
  api = new Api(server.httpUrl, made.adminToken);
  await api.enroll('board-1');
});

afterAll(async () => {
  await server?.close();
  await rm(join(directory, '..'), { recursive: true, force: true });
  await dropTemplate();
});

describe('the API', () => {
  it('answers 401 without a token, before it reads a body', async () => {
    for (const token of [null, 'wrong-token-wrong-token', 'a'.repeat(200)]) {
      const stranger = new Api(server.httpUrl, token);
      for (const [method, path] of [
        ['GET', '/devices'],
        ['GET', '/devices/board-1'],
        ['GET', '/releases'],
        ['GET', '/events'],
        ['POST', '/assignments'],
        ['POST', '/enrollment-tokens'],
        ['POST', '/releases'],
        ['GET', '/devices/board-1/snapshots/e'],
        ['GET', '/nothing'],
      ]) {
        const answer = await stranger.call(
          method,
          `/api/v1${path}`,
          path === '/releases' && method === 'POST' ? Buffer.alloc(100_000) : undefined,
        );
        expect([path, answer.status, answer.body.code]).toEqual([path, 401, 'UNAUTHORIZED']);
        expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/);
      }
    }
  });

  it('answers 401 however the address is spelled', async () => {
    const stranger = new Api(server.httpUrl, null);
    for (const path of ['/%61pi/v1/devices', '/ap%69/v1/releases', '/api/v%31/devices', '/api/v1/%64evices/board-1'])
      expect([path, (await stranger.call('GET', path)).status]).toEqual([path, 401]);
  });

  it('answers bad requests with a code and never with a stack', async () => {
    const cases: [string, string, unknown, number, string][] = [
      ['GET', '/api/v1/devices/a%20b', undefined, 400, 'REQUEST_INVALID'],
      ['GET', '/api/v1/devices/..%2f..%2fetc', undefined, 400, 'REQUEST_INVALID'],
      ['GET', '/api/v1/devices/unknown', undefined, 404, 'DEVICE_UNKNOWN'],
      ['GET', '/api/v1/events?limit=0', undefined, 400, 'REQUEST_INVALID'],
      ['GET', '/api/v1/events?limit=ten', undefined, 400, 'REQUEST_INVALID'],
      ['GET', '/api/v1/events?colour=red', undefined, 400, 'REQUEST_INVALID'],
      ['POST', '/api/v1/enrollment-tokens', { expiresInSeconds: 1 }, 400, 'REQUEST_INVALID'],
      ['POST', '/api/v1/assignments', { devices: 'all' }, 400, 'REQUEST_INVALID'],
      ['POST', '/api/v1/releases', { a: 1 }, 415, 'MEDIA_TYPE_UNSUPPORTED'],
      ['GET', '/api/v1/devices/board-1/snapshots/none', undefined, 404, 'SNAPSHOT_UNKNOWN'],
      ['POST', '/api/v1/assignments', { devices: ['x'.repeat(600_000)] }, 413, 'BODY_TOO_LARGE'],
      ['GET', '/api/v2', undefined, 404, 'NOT_FOUND'],
    ];
    for (const [method, path, body, status, code] of cases) {
      const answer = await api.call(method, path, body);
      expect([path, answer.status, answer.body.code]).toEqual([path, status, code]);
      expect(JSON.stringify(answer.body)).not.toMatch(/node_modules|\.js:\d+/);
    }
    const broken = await fetch(`${server.httpUrl}/api/v1/assignments`, {
      method: 'POST',
      headers: { authorization: `Bearer ${api.token}`, 'content-type': 'application/json' },
      body: '{"token":',
    });
    expect([broken.status, ((await broken.json()) as { code: string }).code]).toEqual([400, 'REQUEST_INVALID']);
  });

  it('sets its headers, describes itself and shows a page', async () => {
    const page = await fetch(`${server.httpUrl}/`);
    expect(page.headers.get('content-security-policy')).toContain("script-src 'sha256-");
    expect(page.headers.get('x-content-type-options')).toBe('nosniff');
    expect(await page.text()).toContain('<title>Vigie fleet</title>');
    const docs = await fetch(`${server.httpUrl}/docs`);
    const [policy, html] = [docs.headers.get('content-security-policy'), await docs.text()];
    expect(policy).toContain("script-src 'sha256-");
    expect([...html.matchAll(/(?:src|href)="([^"]*)"/g)].map(([, to]) => to)).toEqual(['data:,', '/openapi.json']);
    const document = (await (await fetch(`${server.httpUrl}/openapi.json`)).json()) as {
      paths: Record<string, object>;
    };
    expect(Object.keys(document.paths)).toEqual(
      expect.arrayContaining([
        '/api/v1/devices/{id}',
        '/api/v1/releases',
        '/api/v1/assignments',
        '/api/v1/enroll',
        '/health',
      ]),
    );
  });
});
