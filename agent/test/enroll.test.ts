import { readFile, stat, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { enroll } from '../src/io/enroll.js';
import { identityPath, readIdentity } from '../src/io/identity.js';
import { scratchFolder, TestBroker, TestFleet } from './fleet-fixture.js';

let broker: TestBroker;
let server: Server;
let data: string;
let answer: { status: number; body: unknown };
let asked: unknown;

const request = {
  token: 'a-token-of-enough-letters',
  deviceId: 'board-1',
  hardwareClass: 'rpi5-8g',
  agentVersion: '0.1.0',
};
const run = (force = false) =>
  enroll({
    server: `http://127.0.0.1:${(server.address() as { port: number }).port}`,
    dataDirectory: data,
    request,
    force,
  }).then(
    () => 'ok',
    (error: { code: string }) => error.code,
  );

beforeEach(async () => {
  broker = await TestBroker.start();
  const { deviceId, mqtt, serverKeys, tufRoot } = new TestFleet(broker).identity;
  answer = { status: 201, body: { deviceId, mqtt, serverKeys, tufRoot } };
  data = scratchFolder();
  server = createServer((incoming, outgoing) => {
    let text = '';
    incoming.on('data', (chunk) => {
      text += chunk;
    });
    incoming.on('end', () => {
      asked = { url: incoming.url, body: JSON.parse(text) };
      outgoing.writeHead(answer.status, { 'content-type': 'application/json' });
      outgoing.end(JSON.stringify(answer.body));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});

afterEach(async () => {
  await new Promise((resolve) => server.close(resolve));
  await broker.close();
});

test('keeps the identity for nobody else to read, and the root to begin from', async () => {
  expect(await run()).toBe('ok');
  expect(asked).toEqual({ url: '/api/v1/enroll', body: request });
  expect((await stat(identityPath(data))).mode & 0o777).toBe(0o600);
  const identity = await readIdentity(data);
  expect(identity).toMatchObject({ deviceId: 'board-1', hardwareClass: 'rpi5-8g' });
  expect(await readFile(join(data, 'tuf', 'root.json'), 'utf8')).toBe(identity?.tufRoot);
});

test('does not overwrite an identity unless forced', async () => {
  expect(await run()).toBe('ok');
  expect(await run()).toBe('ALREADY_ENROLLED');
  expect(await run(true)).toBe('ok');
});

test('says what went wrong', async () => {
  answer = { status: 403, body: { detail: 'token was used' } };
  expect(await run()).toBe('SERVER_REFUSED');
  answer = { status: 201, body: { deviceId: 'board-1' } };
  expect(await run()).toBe('SERVER_ANSWER_INVALID');
  expect(await readIdentity(data)).toBeNull();
  const nobody = enroll({ server: 'http://127.0.0.1:1', dataDirectory: data, request, force: false });
  await expect(nobody).rejects.toMatchObject({ code: 'SERVER_UNREACHABLE' });
  const wrong = enroll({ server: 'ftp://fleet', dataDirectory: data, request, force: false });
  await expect(wrong).rejects.toMatchObject({ code: 'SERVER_URL_INVALID' });
  await writeFile(identityPath(data), '{}');
  await expect(readIdentity(data)).rejects.toMatchObject({ code: 'IDENTITY_INVALID' });
});
