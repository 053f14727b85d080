import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { RunningServer } from '@vigie/fleet-server/main';
import { ROLES, type Role } from '@vigie/fleet-server/roles';
import { ANSWERS } from '@vigie/fleet-server/routes/answers/describe-answers';
import { PROBLEMS } from '@vigie/fleet-server/routes/problem';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { Api, callTls, dataFolder, dropTemplate, holdAnswersToSchemas, start, tlsOf } from './server-fixture.js';

holdAnswersToSchemas();

// Thousands of requests, one after the other.
vi.setConfig({ testTimeout: 180_000 });

interface Operation {
  operationId: string;
  parameters: { name: string; in: string; required: boolean; schema: Record<string, unknown> }[];
  requestBody?: { content: Record<string, unknown> };
  responses: Record<string, unknown>;
  security: Record<string, unknown>[];
  'x-vigie-role'?: Role;
  'x-vigie-tls-only'?: boolean;
}

interface Document {
  openapi: string;
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, unknown>; responses: Record<string, unknown> };
}

let directory: string;
let server: RunningServer;
let admin: Api;
let document: Document;
let nowMs = 0;

beforeAll(async () => {
  const made = await dataFolder();
  directory = made.dataDirectory;
  const access = { ...{ scryptLogN: 12, refusedBurst: 100_000, anonymousBurst: 100_000, requestBurst: 100_000 } };
  server = await start(directory, { access }, () => new Date(Date.now() + nowMs));
  admin = new Api(server.httpUrl, made.adminToken);
  document = (await (await fetch(`${server.httpUrl}/openapi.json`)).json()) as Document;
});

afterAll(async () => {
  await server?.close();
  await rm(join(directory, '..'), { recursive: true, force: true });
  await dropTemplate();
});

const operations = () =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
  );

/** Every object in the document with the words that lead to it. */
function* walk(value: unknown, path: string[] = []): Generator<[string[], Record<string, unknown>]> {
  if (typeof value !== 'object' || value === null) return;
  if (!Array.isArray(value)) yield [path, value as Record<string, unknown>];
  for (const [name, member] of Object.entries(value)) yield* walk(member, [...path, name]);
}

describe('the OpenAPI document', () => {
  it('is OpenAPI 3.1: fields, unique names, references that lead somewhere', () => {
    expect(document.openapi).toBe('3.1.0');
    const ids = operations().map(({ operation }) => operation.operationId);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { path, method, operation } of operations()) {
      const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      const parameters = operation.parameters.filter((one) => one.in === 'path');
      expect([path, parameters.map(({ name }) => name).sort()]).toEqual([path, names.sort()]);
      expect(parameters.every(({ required }) => required)).toBe(true);
      const keys = operation.parameters.map((one) => `${one.in} ${one.name}`);
      expect(new Set(keys).size).toBe(keys.length);
      expect(Object.keys(operation.responses).every((status) => /^([1-5]\d\d|default)$/.test(status))).toBe(true);
      expect([method, path, Object.keys(operation.responses).some((status) => status < '4')]).toEqual([
        method,
        path,
        true,
      ]);
      if (method === 'GET') expect([path, operation.requestBody]).toEqual([path, undefined]);
    }
    for (const [path, object] of walk(document)) {
      if (typeof object.$ref !== 'string' || path.includes('properties')) continue;
      const words = object.$ref.replace('#/', '').split('/');
      let target: unknown = document;
      for (const word of words) target = (target as Record<string, unknown>)?.[word];
      expect(target, `${path.join('/')} → ${object.$ref}`).toBeDefined();
    }
  });

  it('holds schemas that are JSON Schema 2020-12', () => {
    const ajv = new Ajv2020({ strict: false, validateFormats: false });
    let schemas = 0;
    for (const [path, object] of walk(document)) {
      const isSchema = path.at(-1) === 'schema' || path.at(-2) === 'schemas';
      if (!isSchema) continue;
      schemas += 1;
      expect(ajv.validateSchema(object), `${path.join('/')}: ${ajv.errorsText()}`).toBe(true);
      expect(JSON.stringify(object), path.join('/')).not.toMatch(
        /"type":"(undefined|Date|RegExp|Uint8Array|Function)"/,
      );
    }
    expect(schemas).toBeGreaterThan(100);
  });

  it('covers every problem code, and has a summary for every operation under /api', () => {
    expect(JSON.stringify(document.components.schemas.Problem)).toContain(Object.keys(PROBLEMS).at(-1));
    for (const { path, method, operation } of operations())
      if (path.startsWith('/api/')) expect([method, path, 'summary' in operation]).toEqual([method, path, true]);
  });
});

describe('every answer', () => {
  it('has a schema that says what is in it, or a media type of its own', () => {
    const missing = operations().filter(({ operation }) => {
      const done = Object.entries(operation.responses).filter(([status]) => /^2\d\d$/.test(status));
      return !done.some(([status, response]) => {
        const { content } = response as { content?: Record<string, { schema?: object }> };
        if (status === '204') return true;
        if (content === undefined) return false;
        return Object.entries(content).every(
          ([media, { schema }]) => media !== 'application/json' || Object.keys(schema ?? {}).length > 0,
        );
      });
    });
    expect(missing.map(({ method, path }) => `${method} ${path}`)).toEqual([]);
  });

  it('is described for routes that are there', () => {
    const there = new Set(operations().map(({ method, path }) => `${method} ${path}`));
    const described = Object.keys(ANSWERS).map((route) => route.replace(/:(\w+)/g, '{$1}'));
    expect(described.filter((route) => !there.has(route))).toEqual([]);
  });
});

/** Values that get past the schema of a path often enough; who may not ask never gets that far. */
const filled = (path: string) => path.replace(/\{(\w+)\}/g, 'x');

async function ask(method: string, path: string, headers: Record<string, string>): Promise<[number, string]> {
  const answer = await fetch(`${server.httpUrl}${filled(path)}`, {
    method,
    headers,
    signal: AbortSignal.timeout(20_000),
  });
  if (answer.headers.get('content-type')?.startsWith('text/event-stream')) {
    await answer.body?.cancel();
    return [answer.status, ''];
  }
  const text = await answer.text();
  const problem = answer.headers.get('content-type')?.startsWith('application/problem+json') === true;
  return [answer.status, problem ? (JSON.parse(text) as { code: string }).code : ''];
}

describe('every route', () => {
  const token = async (role: Role, days = 1) => {
    const { body } = await admin.call('POST', '/api/v1/tokens', { name: `matrix ${role}`, role, days });
    return body as unknown as { id: string; token: string };
  };
  const bearer = (secret: string) => ({ authorization: `Bearer ${secret}` });
  const guarded = () => operations().filter(({ operation }) => operation['x-vigie-role'] !== undefined);

  it('refuses who shows no token, a wrong, a revoked or an expired one, and a session that ended', async () => {
    const revoked = await token('admin');
    await admin.call('DELETE', `/api/v1/tokens/${revoked.id}`);
    const expired = await token('admin');
    await admin.call('POST', '/api/v1/users', { name: 'zoe', role: 'admin', password: 'a long enough phrase' });
    const login = await admin.call('POST', '/api/v1/session', { user: 'zoe', password: 'a long enough phrase' });
    const cookie = login.headers.get('set-cookie')!.split(';')[0];
    expect((await ask('GET', '/api/v1/users', { cookie }))[0]).toBe(200);
    expect((await ask('GET', '/api/v1/users', bearer(expired.token)))[0]).toBe(200);
    nowMs = 25 * 3_600_000;
    const strangers: Record<string, string>[] = [
      {},
      bearer('x'.repeat(43)),
      bearer(revoked.token),
      bearer(expired.token),
      { cookie, 'x-vigie-csrf': login.body.csrfToken },
      { authorization: 'Basic YWRtaW46YWRtaW4=' },
      { authorization: `Bearer ${admin.token}' or '1'='1` },
    ];
    expect(guarded().length).toBeGreaterThan(30);
    for (const { path, method } of guarded()) {
      for (const [index, headers] of strangers.entries())
        expect([method, path, index, ...(await ask(method, path, headers))]).toEqual([
          method,
          path,
          index,
          401,
          'UNAUTHORIZED',
        ]);
    }
  });

  it('refuses every role that does not suffice, before it looks at anything else', async () => {
    const contains: Record<Role, Role[]> = {
      viewer: ['viewer'],
      ci: ['ci', 'viewer'],
      operator: ['operator', 'viewer'],
      publisher: ['publisher', 'viewer'],
      admin: [...ROLES],
    };
    for (const role of ROLES.filter((one) => one !== 'admin')) {
      const { token: secret } = await token(role);
      for (const { path, method, operation } of guarded()) {
        const wanted = operation['x-vigie-role'] as Role;
        if (contains[role].includes(wanted)) {
          // Reading does no harm: it must work, or say what is wrong with `x`.
          if (method !== 'GET') continue;
          const [status] = await ask(method, path, bearer(secret));
          expect([role, method, path, status < 500 && status !== 401 && status !== 403]).toEqual([
            role,
            method,
            path,
            true,
          ]);
        } else {
          expect([role, method, path, ...(await ask(method, path, bearer(secret)))]).toEqual([
            role,
            method,
            path,
            403,
            'FORBIDDEN',
          ]);
        }
      }
    }
  });

  it('for boards refuses operators and strangers; routes for operators refuse boards', async () => {
    const board = await admin.enroll('board-1');
    for (const { path, method, operation } of operations()) {
      const forBoards = operation.security.some((one) => 'board' in one);
      if (forBoards) {
        const plain = await ask(method, path, bearer(admin.token!));
        expect([method, path, ...plain]).toEqual([method, path, 403, 'TLS_REQUIRED']);
        const stranger = await callTls(server.httpsUrl, { ca: server.authority }, method, filled(path));
        expect([method, path, stranger.status]).toEqual([method, path, 401]);
      } else if (operation['x-vigie-role'] !== undefined && !path.startsWith('/api/v1/objects/')) {
        // Objects are for boards on this listener, and for operators on the other.
        const answer = await callTls(server.httpsUrl, tlsOf(board), method, filled(path));
        expect([method, path, answer.status]).toEqual([method, path, 401]);
      }
    }
  });
});
