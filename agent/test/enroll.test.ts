import { readFile, stat, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:https';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { enroll } from '../src/io/enroll.js';
import { identityPath, readIdentity } from '../src/io/identity.js';
import { scratchFolder, TestBroker, TestFleet } from './fleet-fixture.js';
import { TestAuthority } from './test-authority.js';

let broker: TestBroker;
let authority: TestAuthority;
let server: Server;
let data: string;
let answer: { status: number; body: (csr: string) => Promise<unknown> };
/** What the server was asked: headers and body of each request, and bytes that came after the handshake. */
let asked: { url: string | undefined; body: unknown }[];
let received: number;

const request = { deviceId: 'board-1', hardwareClass: 'rpi5-8g', agentVersion: '0.1.0' };
const secret = 'vge_a-token-of-enough-letters';

const run = (changes: { force?: boolean; token?: string; host?: string; server?: string } = {}) => {
  const { force = false, token = `${secret}.${authority.fingerprint}`, host = '127.0.0.1' } = changes;
  const { port } = server.address() as { port: number };
  return enroll({
    server: changes.server ?? `https://${host}:${port}`,
    dataDirectory: data,
    token,
    request,
    force,
  }).then(
    () => 'ok',
    (error: { code: string }) => error.code,
  );
};

async function serve(tls: { key: string; cert: string }): Promise<void> {
  server = createServer(tls, (incoming, outgoing) => {
    let text = '';
    incoming.on('data', (chunk) => {
      text += chunk;
    });
    incoming.on('end', async () => {
      const body = JSON.parse(text);
      asked.push({ url: incoming.url, body });
      outgoing.writeHead(answer.status, { 'content-type': 'application/json' });
      outgoing.end(JSON.stringify(await answer.body(body.csr)));
    });
  });
  server.on('secureConnection', (socket) => socket.on('data', (bytes) => (received += bytes.length)));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
}

async function serveAgain(tls: { key: string; cert: string }): Promise<void> {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await serve(tls);
}

beforeEach(async () => {
  broker = await TestBroker.start();
  authority = await TestAuthority.create();
  const { deviceId, serverKeys, tufRoot } = new TestFleet(broker).identity;
  answer = {
    status: 200,
    body: async (csr) => ({
      deviceId,
      certificate: await authority.sign(deviceId, csr),
      authorities: [authority.certificate],
      mqtt: { url: 'mqtts://127.0.0.1:8883' },
      https: { url: 'https://127.0.0.1:8443' },
      serverKeys,
      tufRoot,
    }),
  };
  data = scratchFolder();
  asked = [];
  received = 0;
  await serve(await authority.server());
});

afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await broker.close();
});

test('keeps the identity for nobody else to read, and the root to begin from', async () => {
  expect(await run()).toBe('ok');
  const csr = expect.stringContaining('BEGIN CERTIFICATE REQUEST');
  // Only the secret travels: the fingerprint is for the board.
  expect(asked).toEqual([{ url: '/api/v1/enroll', body: { ...request, token: secret, csr } }]);
  expect((await stat(identityPath(data))).mode & 0o777).toBe(0o600);
  const identity = await readIdentity(data);
  expect(identity).toMatchObject({ deviceId: 'board-1', hardwareClass: 'rpi5-8g' });
  expect(JSON.stringify(asked)).not.toContain(identity?.privateKey.split('\n')[1]);
  expect(await readFile(join(data, 'tuf', 'root.json'), 'utf8')).toBe(identity?.tufRoot);
});

test('does not overwrite an identity unless forced', async () => {
  expect(await run()).toBe('ok');
  const first = await readIdentity(data);
  expect(await run()).toBe('ALREADY_ENROLLED');
  expect(await run({ force: true })).toBe('ok');
  expect((await readIdentity(data))?.privateKey).not.toBe(first?.privateKey);
});

test('says nothing to a server of another authority', async () => {
  const foreign = await TestAuthority.create();
  await serveAgain(await foreign.server());
  expect(await run()).toBe('FINGERPRINT_MISMATCH');
  expect([asked, received]).toEqual([[], 0]);
  expect(await readIdentity(data)).toBeNull();
});

test('says nothing to a server that shows the right authority beside a certificate that it did not sign', async () => {
  const foreign = await TestAuthority.create();
  const { key, cert } = await foreign.server();
  await serveAgain({ key, cert: cert.replace(foreign.certificate, '') + authority.certificate });
  expect(await run()).not.toBe('ok');
  expect([asked, received]).toEqual([[], 0]);
});

test('says nothing to a server with another name, or whose certificate is not valid now', async () => {
  await serveAgain(await authority.server(['fleet.example']));
  expect(await run()).toBe('SERVER_NAME_MISMATCH');
  await serveAgain(await authority.server(undefined, { to: new Date(Date.now() - 1000) }));
  expect(await run()).toBe('CLOCK_OR_CERTIFICATE_WRONG');
  // A board's certificate is none of a server, though the same authority signed it.
  const { certificate, privateKey } = await authority.device('127.0.0.1');
  await serveAgain({ key: privateKey, cert: certificate + authority.certificate });
  expect(await run()).not.toBe('ok');
  expect([asked, received]).toEqual([[], 0]);
});

test('says what went wrong', async () => {
  const refuse = (code: string) => ({ status: 403, body: async () => ({ code, detail: 'no' }) });
  const good = answer;
  answer = refuse('ENROLLMENT_TOKEN_INVALID');
  expect(await run()).toBe('TOKEN_REFUSED');
  answer = refuse('DEVICE_ID_RESERVED');
  expect(await run()).toBe('SERVER_REFUSED');
  answer = { status: 200, body: async () => ({ deviceId: 'board-1' }) };
  expect(await run()).toBe('SERVER_ANSWER_INVALID');
  const changed = (change: (csr: string) => Promise<object>) => ({
    status: 200,
    body: async (csr: string) => ({ ...((await good.body(csr)) as object), ...(await change(csr)) }),
  });
  const foreign = await TestAuthority.create();
  // Another board's name, another key, another authority, a broker without TLS.
  for (const change of [
    async (csr: string) => ({ certificate: await authority.sign('board-2', csr) }),
    async () => ({ certificate: (await authority.device('board-1')).certificate }),
    async (csr: string) => ({
      certificate: await foreign.sign('board-1', csr),
      authorities: [foreign.certificate],
    }),
    async () => ({ mqtt: { url: 'mqtt://127.0.0.1:1883' } }),
  ]) {
    answer = changed(change);
    expect(await run()).toBe('SERVER_ANSWER_INVALID');
  }
  expect(await readIdentity(data)).toBeNull();
  expect(await run({ server: 'https://127.0.0.1:1' })).toBe('SERVER_UNREACHABLE');
  expect(await run({ server: 'http://127.0.0.1:8080' })).toBe('SERVER_URL_INVALID');
  expect(await run({ server: 'fleet' })).toBe('SERVER_URL_INVALID');
  expect(await run({ token: secret })).toBe('TOKEN_INVALID');
});

test('refuses an identity that is damaged, or whose key is not that of its certificate', async () => {
  await writeFile(identityPath(data), '{}');
  await expect(readIdentity(data)).rejects.toMatchObject({ code: 'IDENTITY_INVALID' });
  expect(await run({ force: true })).toBe('ok');
  const text = await readFile(identityPath(data), 'utf8');
  const { privateKey } = await authority.device('board-1');
  await writeFile(identityPath(data), JSON.stringify({ ...JSON.parse(text), privateKey }));
  await expect(readIdentity(data)).rejects.toMatchObject({ code: 'IDENTITY_INVALID' });
  await writeFile(identityPath(data), text.slice(0, 500));
  await expect(readIdentity(data)).rejects.toMatchObject({ code: 'IDENTITY_INVALID' });
});
