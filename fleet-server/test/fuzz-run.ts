import { rm } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { PROBLEMS } from '@vigie/fleet-server/routes/problem';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { expect } from 'vitest';
import { type FuzzOperation, type FuzzRequest, RequestFuzzer } from './request-fuzzer.js';
import { Api, dataFolder, start, zooPackage } from './server-fixture.js';

type Json = Record<string, unknown>;
interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  text: string;
}

/** What no answer may hold: stacks, SQL and its faults, paths of this machine, names of libraries. */
const LEAKS =
  /node_modules|\n\s+at |\.[cm]?[jt]s:\d+|violates|syntax error at|relation \\?"|invalid input syntax|insert into|drizzle|pglite|ECONN|ENOENT|EACCES/i;

/** Sends so many requests made from the server's own OpenAPI document; fails with the first of each kind of answer that is a fault or says too much. */
export async function fuzz(requests: number, seed: number): Promise<Record<string, number>> {
  const made = await dataFolder();
  const many = 1_000_000;
  const access = { scryptLogN: 12, loginFailures: 100, refusedBurst: many, anonymousBurst: many, requestBurst: many };
  const server = await start(made.dataDirectory, { access });
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  const counts: Record<string, number> = {};
  try {
    const admin = new Api(server.httpUrl, made.adminToken);
    await admin.enroll('board-1');
    const release = await zooPackage('int8');
    await admin.call('POST', '/api/v1/releases', release.bytes);
    await admin.call('POST', '/api/v1/users', { name: 'alice', role: 'viewer', password: 'a long enough phrase' });
    const document = (await (await fetch(`${server.httpUrl}/openapi.json`)).json()) as Json;
    const known = [
      'board-1',
      release.name,
      release.version,
      `${release.name}@${release.version}`,
      'alice',
      release.digest,
    ];
    const fuzzer = new RequestFuzzer(document, [...known, 'canary', '2026-11-21T00:00:00Z'], seed);
    const operations = operationsOf(document);
    const check = checker(document, [made.dataDirectory, made.adminToken, admin.token!, 'a long enough phrase']);
    const bearer = { authorization: `Bearer ${made.adminToken}` };
    let sent = 0;
    const faults = new Map<string, string>();
    const worker = async () => {
      while (sent < requests) {
        const operation = operations[sent % operations.length];
        const index = sent;
        sent += 1;
        // A package is verified by a process of its own: a few of them say as much as thousands.
        if (operation.body?.media === 'application/octet-stream' && (index / operations.length) % 20 >= 1) continue;
        const one = fuzzer.next(operation);
        const headers = { ...(index % 17 === 0 ? {} : bearer), ...one.headers };
        const answer = await send(agent, server.httpUrl, { ...one, headers });
        counts[answer.status] = (counts[answer.status] ?? 0) + 1;
        const fault = check(operation, answer);
        if (fault !== null) {
          const shown = { ...one, body: one.body?.toString('utf8').slice(0, 2000) };
          const kind = `${operation.method} ${operation.path}: ${answer.status}`;
          const text = `${fault}\n  request ${index} of seed ${seed}: ${JSON.stringify(shown)}\n  ${answer.text.slice(0, 1000)}`;
          if (!faults.has(kind)) faults.set(kind, text);
        }
      }
    };
    await Promise.all(Array.from({ length: 8 }, worker));
    expect([...faults].map(([kind, text]) => `${kind}: ${text}`)).toEqual([]);
    expect((await admin.call('GET', '/health')).body).toMatchObject({ ok: true });
    expect((await admin.call('GET', '/api/v1/devices/board-1')).status).toBe(200);
    expect((await admin.call('GET', '/api/v1/audit/verify')).body).toMatchObject({ ok: true });
    return counts;
  } finally {
    agent.destroy();
    await server.close();
    await rm(join(made.dataDirectory, '..'), { recursive: true, force: true });
  }
}

function operationsOf(document: Json): FuzzOperation[] {
  return Object.entries(document.paths as Record<string, Record<string, Json>>).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => {
      const content = (operation.requestBody as { content: Record<string, { schema: Json }> } | undefined)?.content;
      const [media] = Object.keys(content ?? {});
      return {
        ...{ path, method: method.toUpperCase(), parameters: operation.parameters as FuzzOperation['parameters'] },
        body: content === undefined ? null : { media, schema: content[media].schema },
      };
    }),
  );
}

/** Why an answer is not good; null: it is. */
function checker(document: Json, secrets: readonly string[]) {
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  const compiled = new Map<string, ValidateFunction | null>();
  const schemaOf = ({ path, method }: FuzzOperation, status: number): ValidateFunction | null => {
    const key = `${method} ${path} ${status}`;
    let found = compiled.get(key);
    if (found === undefined) {
      const operation = (document.paths as Record<string, Record<string, Json>>)[path][method.toLowerCase()];
      const described = (operation.responses as Record<string, { content?: Record<string, { schema: Json }> }>)[status];
      const schema = described?.content?.['application/json']?.schema;
      // References lead into the document: its components stand beside the schema.
      found = schema === undefined ? null : ajv.compile({ ...schema, components: document.components });
      compiled.set(key, found);
    }
    return found;
  };
  return (operation: FuzzOperation, { status, headers, text }: Answer): string | null => {
    if (status >= 500) return 'a fault of the server';
    if ('x-injected' in headers || [headers['set-cookie'] ?? []].flat().includes('a=b')) return 'a header was injected';
    const leak = LEAKS.exec(text)?.[0] ?? secrets.find((secret) => text.includes(secret));
    if (
      leak !== undefined &&
      headers['content-type'] !== 'text/html; charset=utf-8' &&
      operation.path !== '/openapi.json'
    )
      return `the answer says too much: ${leak}`;
    if (status >= 400) {
      // What does not even parse as HTTP is answered by the parser.
      if (text === '' || String(headers['content-type'] ?? '').startsWith('application/problem+json')) {
        const code = text === '' ? null : (JSON.parse(text) as { code: string }).code;
        return code === null || code in PROBLEMS ? null : `the code ${code} is not in the table`;
      }
      return `a refusal that is no problem document: ${String(headers['content-type'])}`;
    }
    if (String(headers['content-type']).startsWith('application/json')) {
      const validate = schemaOf(operation, status);
      if (validate !== null && !validate(JSON.parse(text)))
        return `the answer breaks its schema: ${ajv.errorsText(validate.errors)}`;
    }
    return null;
  };
}

function send(agent: Agent, url: string, { method, path, headers, body }: FuzzRequest): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sized = body === null ? headers : { ...headers, 'content-length': String(body.length) };
    const asked = request(new URL(url), { agent, method, path, headers: sized, timeout: 60_000 }, (answer) => {
      const status = answer.statusCode as number;
      if (String(answer.headers['content-type']).startsWith('text/event-stream')) {
        asked.destroy();
        return resolve({ status, headers: answer.headers, text: '' });
      }
      let text = '';
      answer.setEncoding('utf8');
      answer.on('data', (part) => {
        text += part;
      });
      answer.once('end', () => resolve({ status, headers: answer.headers, text }));
      answer.once('error', reject);
    });
    asked.once('timeout', () => asked.destroy(new Error(`${method} ${path}: no answer in 60 s`)));
    asked.once('error', (error: NodeJS.ErrnoException) => {
      // The server may close a connection whose body it does not want.
      if (error.code === 'ECONNRESET' || error.code === 'EPIPE') resolve({ status: 0, headers: {}, text: '' });
      else reject(error);
    });
    asked.end(body ?? undefined);
  });
}
