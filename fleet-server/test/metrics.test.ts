import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunningServer } from '../src/main.js';
import { Api, callTls, dataFolder, dropTemplate, start } from './server-fixture.js';

let directory: string;
let server: RunningServer;
let api: Api;

beforeAll(async () => {
  const made = await dataFolder();
  directory = made.dataDirectory;
  server = await start(directory);
  api = new Api(server.httpUrl, made.adminToken);
}, 120_000);

afterAll(async () => {
  await server?.close();
  await rm(join(directory, '..'), { recursive: true, force: true });
  await dropTemplate();
});

interface Sample {
  name: string;
  labels: Record<string, string>;
  value: number;
}

/** Prometheus text format 0.0.4, strictly: fails on whatever is not in it. */
function parse(text: string): { types: Map<string, string>; samples: Sample[] } {
  expect(text.endsWith('\n')).toBe(true);
  const types = new Map<string, string>();
  const samples: Sample[] = [];
  for (const line of text.slice(0, -1).split('\n')) {
    const comment = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)$/.exec(line);
    if (comment !== null) {
      if (comment[1] === 'TYPE') {
        expect(types.has(comment[2]), `${comment[2]} twice`).toBe(false);
        expect(['counter', 'gauge', 'histogram']).toContain(comment[3]);
        types.set(comment[2], comment[3]);
      }
      continue;
    }
    const found = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (-?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?|Inf)|NaN)$/.exec(line);
    expect(found, line).not.toBeNull();
    const labels: Record<string, string> = {};
    const rest = (found?.[2] ?? '').replace(
      /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\["\\n])*)"(,|$)/g,
      (_all, name, value) => {
        labels[name] = value;
        return '';
      },
    );
    expect(rest).toBe('');
    samples.push({ name: found?.[1] ?? '', labels, value: Number(found?.[3]) });
  }
  for (const { name } of samples)
    expect(types.has(name) || types.has(name.replace(/_(bucket|sum|count)$/, '')), name).toBe(true);
  const keys = samples.map(({ name, labels }) => `${name} ${JSON.stringify(labels)}`);
  expect(new Set(keys).size).toBe(keys.length);
  return { types, samples };
}

const read = async () => parse(await (await fetch(`${server.httpUrl}/metrics`)).text());

describe('/metrics', () => {
  it('is what Prometheus reads, and counts what happens', async () => {
    await api.enroll('board-1');
    for (const path of ['/api/v1/devices/board-1', '/api/v1/devices/nobody', '/api/v1/devices/nobody-else'])
      await api.call('GET', path);
    const { types, samples } = await read();
    const value = (name: string, labels: Record<string, string>) =>
      samples.find((one) => one.name === name && Object.entries(labels).every(([key, is]) => one.labels[key] === is))
        ?.value;
    expect(value('vigie_devices', { state: 'offline', hardware_class: 'generic-x64' })).toBe(1);
    const route = '/api/v1/devices/:id';
    expect(value('vigie_http_request_duration_seconds_count', { route, status: '2xx' })).toBe(1);
    expect(value('vigie_http_request_duration_seconds_count', { route, status: '4xx' })).toBe(2);
    expect(value('vigie_http_request_duration_seconds_bucket', { route, status: '4xx', le: '+Inf' })).toBe(2);
    expect(types.get('vigie_ingest_total')).toBe('counter');
    expect(value('vigie_duty_duration_seconds_count', { duty: 'alerts' })).toBeGreaterThan(0);
    expect(value('process_resident_memory_bytes', {})).toBeGreaterThan(1e6);
    // A stranger's addresses make no series of their own.
    const before = samples.length;
    for (const path of ['/a', '/b', '/c']) await fetch(`${server.httpUrl}${path}`);
    const after = (await read()).samples.filter(({ labels }) => labels.route !== '/metrics').length;
    expect(after).toBeLessThan(before + 60);
    expect((await read()).samples.some(({ labels }) => labels.route === '/a')).toBe(false);
  });

  it('asks for a token beyond this machine', async () => {
    const tls = { ca: server.authority };
    expect((await callTls(server.httpsUrl, tls, 'GET', '/metrics')).status).toBe(401);
    const proxied = await fetch(`${server.httpUrl}/metrics`, { headers: { 'x-forwarded-for': '203.0.113.9' } });
    expect(proxied.status).toBe(401);
    const authorization = `Bearer ${api.token}`;
    const allowed = await fetch(`${server.httpUrl}/metrics`, {
      headers: { 'x-forwarded-for': '203.0.113.9', authorization },
    });
    expect(allowed.status).toBe(200);
  });
});
