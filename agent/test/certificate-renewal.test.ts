import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { Aedes } from 'aedes';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CertificateRenewal } from '../src/io/certificate-renewal.js';
import { FleetHttps } from '../src/io/fleet-https.js';
import { CurrentIdentity, identityPath, readIdentity, writeIdentity } from '../src/io/identity.js';
import { MqttLink } from '../src/io/mqtt-link.js';
import { scratchFolder, TestBroker, TestFleet, until } from './fleet-fixture.js';
import { ManualClock } from './manual-clock.js';
import { TestAuthority } from './test-authority.js';

const DAY = 86_400_000;
const silent = { debug() {}, info() {}, warn() {}, error() {} };

let authority: TestAuthority;
let server: Server;
let broker: TestBroker;
let data: string;
let current: CurrentIdentity;
let https: FleetHttps;
let clock: ManualClock;
let renewal: CertificateRenewal;
/** Serial numbers by which the server was asked, and for what. */
let asked: string[];
let answer: (csr: string) => Promise<{ status: number; body: unknown }>;

const serialOf = (certificate: string) => new X509Certificate(certificate).serialNumber;
const onDisk = async () => serialOf((await readIdentity(data))?.certificate ?? '');
const renewed = async (csr: string) => ({
  certificate: await authority.sign('board-1', csr, { to: new Date(Date.now() + 730 * DAY) }),
  authorities: [authority.certificate],
});

beforeEach(async () => {
  authority = await TestAuthority.create();
  asked = [];
  answer = async (csr) => ({ status: 200, body: await renewed(csr) });
  const tls = { ...(await authority.server()), ca: authority.certificate, requestCert: true, rejectUnauthorized: true };
  server = createServer(tls, (request, response) => {
    const serial = (request.socket as TLSSocket).getPeerX509Certificate()?.serialNumber;
    asked.push(`${request.url} ${serial}`);
    let text = '';
    request.on('data', (bytes) => {
      text += bytes;
    });
    request.once('end', async () => {
      const { status, body } = text === '' ? { status: 200, body: {} } : await answer(JSON.parse(text).csr);
      response.writeHead(status).end(JSON.stringify(body));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  broker = await TestBroker.start();
  data = scratchFolder();
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const identity = {
    ...new TestFleet(broker).identity,
    ...(await authority.device('board-1')),
    authorities: [authority.certificate],
    mqtt: { url: 'mqtts://127.0.0.1:8883' },
    https: { url },
  };
  await writeIdentity(data, identity);
  current = new CurrentIdentity(identity, data);
  https = new FleetHttps({ baseUrl: url, credentials: () => current.value });
  clock = new ManualClock();
  renewal = new CertificateRenewal({ current, https, clock, now: () => clock.wall(), log: silent, random: () => 0 });
});

afterEach(async () => {
  await renewal.stop();
  https.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await broker.close();
});

describe('a renewal', () => {
  test('makes a new key, writes the new identity and uses it', async () => {
    const before = current.value;
    await renewal.renew();
    const after = await readIdentity(data);
    expect(after?.privateKey).not.toBe(before.privateKey);
    expect(after).toEqual(current.value);
    expect(after).toMatchObject({ deviceId: 'board-1', serverKeys: before.serverKeys, enrolledAt: before.enrolledAt });
    expect(asked).toEqual([
      `/api/v1/renew ${serialOf(before.certificate)}`,
      `/api/v1/identity ${serialOf(current.value.certificate)}`,
    ]);
  });

  test('keeps the present certificate whatever else comes back', async () => {
    const before = readFileSync(identityPath(data), 'utf8');
    const foreign = await TestAuthority.create();
    const refusals: [string, typeof answer][] = [
      ['CERTIFICATE_REVOKED', async () => ({ status: 403, body: { code: 'CERTIFICATE_REVOKED', detail: 'gone' } })],
      ['HTTP_502', async () => ({ status: 502, body: 'bad gateway' })],
      ['ANSWER_INVALID', async () => ({ status: 200, body: { certificate: 'x' } })],
      // For another board, for another key, of another authority, ending sooner than the present one.
      [
        'ANSWER_INVALID',
        async (csr) => ({
          status: 200,
          body: { ...(await renewed(csr)), certificate: await authority.sign('b', csr) },
        }),
      ],
      [
        'ANSWER_INVALID',
        async (csr) => ({ status: 200, body: { ...(await renewed(csr)), ...(await authority.device('board-1')) } }),
      ],
      [
        'ANSWER_INVALID',
        async (csr) => ({
          status: 200,
          body: { ...(await renewed(csr)), certificate: await foreign.sign('board-1', csr) },
        }),
      ],
      [
        'ANSWER_INVALID',
        async (csr) => ({
          status: 200,
          body: {
            ...(await renewed(csr)),
            certificate: await authority.sign('board-1', csr, { to: new Date(Date.now() + DAY) }),
          },
        }),
      ],
    ];
    for (const [code, given] of refusals) {
      answer = given;
      await expect(renewal.renew()).rejects.toMatchObject({ code });
      expect(readFileSync(identityPath(data), 'utf8')).toBe(before);
    }
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await expect(renewal.renew()).rejects.toMatchObject({ code: 'UNREACHABLE' });
    expect(readFileSync(identityPath(data), 'utf8')).toBe(before);
  });
});

describe('the schedule', () => {
  test('renews after two thirds of the life and not before, and goes on after a failure', async () => {
    const first = await onDisk();
    const { validFrom, validTo } = new X509Certificate(current.value.certificate);
    const [from, to] = [Date.parse(validFrom), Date.parse(validTo)];
    const due = from + ((to - from) * 2) / 3;
    renewal.start();
    clock.advance(due - clock.wall() - 60_000);
    expect(asked).toEqual([]);
    const good = answer;
    answer = async () => ({ status: 503, body: {} });
    clock.advance(60_000);
    await until('the first attempt', () => asked.length === 1);
    expect(await onDisk()).toBe(first);
    answer = good;
    // The answer may still be on its way: the wait begins when it has come.
    await until('the next attempt', () => {
      clock.advance(15_000);
      return asked.length >= 3;
    });
    expect(await onDisk()).not.toBe(first);
  });
});

describe('the link', () => {
  test('shows the renewed certificate at its next connection', async () => {
    const aedes = await Aedes.createBroker();
    const shown: (string | undefined)[] = [];
    const tls = { ...(await authority.server()), ca: authority.certificate, requestCert: true };
    const sockets = new Set<TLSSocket>();
    const listener = createTlsServer({ ...tls, rejectUnauthorized: true }, (socket) => {
      sockets.add(socket);
      shown.push(socket.getPeerX509Certificate()?.serialNumber);
      aedes.handle(socket);
    });
    await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
    const link = new MqttLink({
      url: `mqtts://127.0.0.1:${(listener.address() as AddressInfo).port}`,
      credentials: () => current.value,
      deviceId: 'board-1',
      bootId: '00000000-0000',
      log: silent,
      backoffMs: { first: 20, longest: 50 },
    });
    link.start();
    await until('the first connection', () => link.connected);
    await renewal.renew();
    expect(link.connected).toBe(true);
    for (const socket of sockets) socket.destroy();
    await until('the next connection', () => shown.length === 2 && link.connected);
    expect(shown[1]).not.toBe(shown[0]);
    expect(shown[1]).toBe(serialOf(current.value.certificate));
    await link.stop();
    await new Promise<void>((resolve) => aedes.close(() => resolve()));
    await new Promise((resolve) => listener.close(resolve));
  });
});
