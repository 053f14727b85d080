import { execFileSync } from 'node:child_process';
import { webcrypto } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { Agent, request } from 'node:https';
import { join } from 'node:path';
import { createServer as createTlsServer, connect as tlsConnect } from 'node:tls';
import { Authority } from '@vigie/fleet-server/io/pki/authority';
import { ECDSA, newKeyPair, pem, privateKeyPem, x509 } from '@vigie/fleet-server/io/pki/x509-library';
import type { RunningServer } from '@vigie/fleet-server/main';
import type { DeviceCertificate, EnrollResponse } from '@vigie/protocol';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  Api,
  callTls,
  dataFolder,
  dropTemplate,
  EXTERNAL_ENGINES,
  keyAndRequest,
  Listener,
  start,
  tlsOf,
  until,
} from './server-fixture.js';

const DAY = 86_400_000;

let directory: string;
let server: RunningServer;
let api: Api;
let authority: Authority;
let aheadMs = 0;
const now = () => new Date(Date.now() + aheadMs);

beforeAll(async () => {
  const made = await dataFolder();
  directory = made.dataDirectory;
  server = await start(directory, {}, now);
  api = new Api(server.httpUrl, made.adminToken);
  authority = await Authority.open(join(directory, 'pki'));
});

beforeEach(() => {
  aheadMs = 0;
});

afterAll(async () => {
  await server?.close();
  await rm(join(directory, '..'), { recursive: true, force: true });
  await dropTemplate();
});

interface Shown {
  cert: string;
  key: string;
}

/** Login at the broker with any certificate: `let in`, the CONNACK code, or what TLS said. */
const login = (clientId: string, shown: Shown) =>
  Listener.connect(server.mqttsUrl, { clientId, ca: server.authority, connectTimeout: 5000, ...shown }).then(
    async (listener) => {
      await listener.end();
      return 'let in';
    },
    (error: { code?: number | string; message: string }) => error.code ?? error.message,
  );

/** An external broker knows revoked and expired certificates by its own clock and list (docs/mosquitto.md). */
const expectShutOut = async (clientId: string, shown: Shown) => {
  if (!EXTERNAL_ENGINES) expect(await login(clientId, shown)).toBe(4);
};

const call = (shown: Shown, method: string, path: string, body?: unknown) =>
  callTls(server.httpsUrl, { ca: server.authority, cert: shown.cert, key: shown.key }, method, path, body);

/** `200` or the problem's code. */
const identityOf = async (shown: Shown) => {
  const { status, body } = await call(shown, 'GET', '/api/v1/identity');
  return status === 200 ? 200 : body.code;
};

/** The next certificate of a board, with its key. */
async function renew(shown: Shown): Promise<{ status: number; code?: string; next: Shown }> {
  const { privateKey, csr } = await keyAndRequest();
  const { status, body } = await call(shown, 'POST', '/api/v1/renew', { csr });
  return {
    status,
    code: body.code,
    next: { cert: (body as unknown as DeviceCertificate).certificate, key: privateKey },
  };
}

/** A certificate that the true authority signed, with any name and time. */
async function issued(deviceId: string, days: number, at: Date): Promise<Shown> {
  const keys = await newKeyPair();
  const { pem: cert } = await authority.issueDevice(deviceId, keys.publicKey, days, at);
  return { cert, key: await privateKeyPem(keys.privateKey) };
}

const newToken = async (expiresInSeconds = 60) =>
  (await api.call('POST', '/api/v1/enrollment-tokens', { expiresInSeconds })).body.token as string;

describe('enrolment', () => {
  it('is refused without TLS, before a body is read', async () => {
    const answer = await new Api(server.httpUrl, null).call('POST', '/api/v1/enroll', { token: 'secret' });
    expect([answer.status, answer.body.code]).toEqual([403, 'TLS_REQUIRED']);
    expect((await api.call('POST', '/api/v1/renew', {})).body.code).toBe('TLS_REQUIRED');
  });

  it('gives tokens that carry the fingerprint of the authority', async () => {
    const [, fingerprint] = (await newToken()).split('.');
    expect(fingerprint).toBe(authority.fingerprint);
  });

  it('refuses bad requests and leaves the token for a good one', async () => {
    const token = await newToken();
    const rsa = await webcrypto.subtle.generateKey(
      { name: 'RSASSA-PKCS1-v1_5', modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]), hash: 'SHA-256' },
      true,
      ['sign', 'verify'],
    );
    const [mine, foreign] = [await newKeyPair(), await newKeyPair()];
    const requestOf = async (keys: object, signingAlgorithm: object) =>
      pem(await x509.Pkcs10CertificateRequestGenerator.create({ name: 'CN=x', keys, signingAlgorithm } as never));
    const good = (await keyAndRequest()).csr;
    for (const csr of [
      await requestOf(rsa, { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }),
      await requestOf({ publicKey: foreign.publicKey, privateKey: mine.privateKey }, ECDSA),
      good.replace(/[A-Za-z0-9]{8}\n/, 'AAAAAAAA\n'),
      authority.certificate,
    ]) {
      const answer = await api.requestEnrollment(token, 'csr-1', { csr });
      expect([answer.status, answer.body.code]).toEqual([400, 'CSR_INVALID']);
    }
    expect((await api.requestEnrollment(token, 'csr-1', { csr: 'x'.repeat(100) })).body.code).toBe('REQUEST_INVALID');
    expect((await api.requestEnrollment(token, 'csr-1', { csr: good + 'A'.repeat(4000) })).body.code).toBe(
      'REQUEST_INVALID',
    );
    expect((await api.requestEnrollment(token, 'csr-1')).status).toBe(200);
    expect((await api.requestEnrollment(token, 'csr-1')).body.code).toBe('ENROLLMENT_TOKEN_INVALID');
  });

  it('refuses a token after its time', async () => {
    const token = await newToken(60);
    aheadMs = 61_000;
    expect((await api.requestEnrollment(token, 'late')).body.code).toBe('ENROLLMENT_TOKEN_INVALID');
  });

  it('names the certificate after the id asked for, whatever the request names', async () => {
    const board = await api.enroll('named');
    expect(new x509.X509Certificate(board.certificate).subject).toBe('CN=named');
    expect(board.mqtt.url).toBe(server.mqttsUrl);
    expect(board.https.url).toBe(server.httpsUrl);
  });
});

describe('a stranger', () => {
  it('with the certificate of another authority is refused, even one that bears the same name', async () => {
    const board = await api.enroll('target');
    const keys = await newKeyPair();
    const boardKeys = await newKeyPair();
    const own = await x509.X509CertificateGenerator.createSelfSigned({
      name: new x509.X509Certificate(authority.certificate).subject,
      keys: keys as never,
      signingAlgorithm: ECDSA,
      notBefore: new Date(0),
      notAfter: new Date(Date.now() + DAY),
      extensions: [new x509.BasicConstraintsExtension(true, 0, true)],
    });
    const forged = await x509.X509CertificateGenerator.create({
      subject: 'CN=target',
      issuer: own.subject,
      publicKey: boardKeys.publicKey as never,
      signingKey: keys.privateKey as never,
      signingAlgorithm: ECDSA,
      // The serial of the true one.
      serialNumber: new x509.X509Certificate(board.certificate).serialNumber,
      notBefore: new Date(0),
      notAfter: new Date(Date.now() + DAY),
      extensions: [new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth])],
    });
    const shown = { cert: pem(forged) + pem(own), key: await privateKeyPem(boardKeys.privateKey) };
    expect(await login('target', shown)).not.toBe('let in');
    expect(await identityOf(shown)).toBe('CERTIFICATE_UNTRUSTED');
    expect((await renew(shown)).code).toBe('CERTIFICATE_UNTRUSTED');
    expect(await login('target', tlsOf(board))).toBe('let in');
  });

  it('cannot sign certificates with a board’s key', async () => {
    const board = await api.enroll('not-a-ca');
    const { cert, key } = tlsOf(board);
    const [der] = x509.PemConverter.decode(key);
    const signingKey = await webcrypto.subtle.importKey('pkcs8', der, ECDSA, false, ['sign']);
    const keys = await newKeyPair();
    const forged = await x509.X509CertificateGenerator.create({
      subject: 'CN=target',
      issuer: 'CN=not-a-ca',
      publicKey: keys.publicKey as never,
      signingKey: signingKey as never,
      signingAlgorithm: ECDSA,
      notAfter: new Date(Date.now() + DAY),
      extensions: [new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth])],
    });
    const shown = { cert: pem(forged) + cert, key: await privateKeyPem(keys.privateKey) };
    expect(await login('target', shown)).not.toBe('let in');
    expect(await identityOf(shown)).toBe('CERTIFICATE_UNTRUSTED');
  });

  it('cannot play a server with a board’s certificate', async () => {
    const { cert, key, ca } = tlsOf(await api.enroll('no-server'));
    const fake = createTlsServer({ cert, key }, (socket) => socket.end());
    await new Promise<void>((resolve) => fake.listen(0, '127.0.0.1', resolve));
    const { port } = fake.address() as { port: number };
    const fault = await new Promise((resolve) => {
      const socket = tlsConnect({ host: '127.0.0.1', port, ca, checkServerIdentity: () => undefined });
      socket.once('secureConnect', () => resolve('believed'));
      socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code));
    });
    expect(fault).toBe('INVALID_PURPOSE');
    fake.close();
  });

  it('and a server’s certificate is none of a board', async () => {
    const text = await readFile(join(directory, 'pki', 'server.pem'), 'utf8');
    expect(await login('vigie-server', { cert: text, key: text })).not.toBe('let in');
    expect(await identityOf({ cert: text, key: text })).toBe('CERTIFICATE_UNTRUSTED');
    expect(await identityOf({} as Shown)).toBe('CERTIFICATE_REQUIRED');
  });
});

describe('renewal', () => {
  it('leaves the old certificate good until the new one was used', async () => {
    const first = tlsOf(await api.enroll('renews'));
    const { next } = await renew(first);
    expect(await login('renews', first)).toBe('let in');
    expect(await identityOf(next)).toBe(200);
    expect(await identityOf(first)).toBe('CERTIFICATE_REVOKED');
    await expectShutOut('renews', first);
    expect(await login('renews', next)).toBe('let in');
    expect((await renew(first)).code).toBe('CERTIFICATE_REVOKED');
  });

  it('forgets answers that were lost when it is asked again', async () => {
    const first = tlsOf(await api.enroll('loses'));
    const lost = (await renew(first)).next;
    const kept = (await renew(first)).next;
    expect(await identityOf(lost)).toBe('CERTIFICATE_REVOKED');
    expect(await identityOf(first)).toBe(200);
    expect(await identityOf(kept)).toBe(200);
  });

  it('takes no bad request', async () => {
    const first = tlsOf(await api.enroll('bad-renewal'));
    expect((await call(first, 'POST', '/api/v1/renew', { csr: authority.certificate })).body.code).toBe('CSR_INVALID');
    expect((await call(first, 'POST', '/api/v1/renew', {})).body.code).toBe('REQUEST_INVALID');
    expect(await identityOf(first)).toBe(200);
  });

  it('is granted for a while after the end, and then no more', async () => {
    const first = tlsOf(await api.enroll('sleeper'));
    aheadMs = 366 * DAY;
    expect(await identityOf(first)).toBe('CERTIFICATE_EXPIRED');
    await expectShutOut('sleeper', first);
    aheadMs = 396 * DAY;
    expect((await renew(first)).code).toBe('CERTIFICATE_EXPIRED');
    aheadMs = 394 * DAY;
    const { status, next } = await renew(first);
    expect(status).toBe(200);
    expect(await identityOf(next)).toBe(200);
  });

  it('ends at the TLS layer of the broker for a certificate that really has expired', async () => {
    await api.enroll('expired');
    const shown = await issued('expired', 1, new Date(Date.now() - 3 * DAY));
    expect(await login('expired', shown)).not.toBe('let in');
    expect(await identityOf(shown)).toBe('CERTIFICATE_EXPIRED');
  });
});

describe('revocation', () => {
  it('cuts the live session, and closes every door', async () => {
    const board = await api.enroll('revoked-1');
    const shown = tlsOf(board);
    const agent = new Agent({ keepAlive: true, maxSockets: 1, ...shown });
    const kept = () =>
      new Promise<number | undefined>((resolve, reject) => {
        const asked = request(new URL('/api/v1/identity', server.httpsUrl), { agent }, (answer) => {
          answer.resume().once('end', () => resolve(answer.statusCode));
        });
        asked.once('error', reject).end();
      });
    expect(await kept()).toBe(200);
    const session = await Listener.device(board);
    const closed = session.closed();
    const answer = await api.call('POST', '/api/v1/devices/revoked-1/revoke');
    expect([answer.status, typeof answer.body.revokedAt]).toEqual([200, 'string']);
    await closed;
    await expectShutOut('revoked-1', shown);
    expect(await kept()).toBe(403);
    agent.destroy();
    expect((await renew(shown)).code).toBe('CERTIFICATE_REVOKED');
    const { serialNumber } = new x509.X509Certificate(board.certificate);
    const list = execFileSync('openssl', ['crl', '-in', join(directory, 'pki', 'revoked.pem'), '-noout', '-text']);
    expect(list.toString()).toContain(serialNumber.toUpperCase());
    // Enrolled anew it may come in again, by the new certificate only.
    const again = await api.enroll('revoked-1');
    expect(await login('revoked-1', tlsOf(again))).toBe('let in');
    await expectShutOut('revoked-1', shown);
    expect((await api.call('GET', '/api/v1/devices/revoked-1')).body.revokedAt).toBeNull();
  });

  it('catches a login that is just under way', async () => {
    for (let round = 0; round < 8; round += 1) {
      const id = `racing-${round}`;
      const board = await api.enroll(id);
      const entering = login(id, tlsOf(board));
      const session = Listener.device(board).catch(() => null);
      await api.call('POST', `/api/v1/devices/${id}/revoke`);
      await entering;
      const listener = await session;
      if (listener !== null) await until('the session to be cut', () => !listener.client.connected);
    }
  });

  it('says so for a device that is not there', async () => {
    expect((await api.call('POST', '/api/v1/devices/nobody/revoke')).body.code).toBe('DEVICE_UNKNOWN');
  });
});

describe('a server whose database is older than a certificate', () => {
  it('takes it in for a board that it knows, and for no other', async () => {
    const board = await api.enroll('restored');
    const newer = await issued('restored', 365, now());
    expect(await identityOf(newer)).toBe(200);
    // It is the newest in use now: the one before it ends as after a renewal.
    expect(await identityOf(tlsOf(board))).toBe('CERTIFICATE_REVOKED');
    expect(await identityOf(await issued('never-enrolled', 365, now()))).toBe('CERTIFICATE_REVOKED');
    await api.call('POST', '/api/v1/devices/restored/revoke');
    expect(await identityOf(await issued('restored', 365, now()))).toBe('CERTIFICATE_REVOKED');
  });
});

describe('a restart', () => {
  it('keeps the authority and what was revoked; an old folder gets an authority, a broken one says so', async () => {
    const good: EnrollResponse = await api.enroll('survivor');
    const bad = await api.enroll('outcast');
    await api.call('POST', '/api/v1/devices/outcast/revoke');
    await server.close();
    const { token } = api;
    server = await start(directory, {}, now);
    api = new Api(server.httpUrl, token);
    expect(await identityOf(tlsOf(good))).toBe(200);
    expect(await identityOf(tlsOf(bad))).toBe('CERTIFICATE_REVOKED');
    // Another authority is one that an external broker does not know.
    if (EXTERNAL_ENGINES) return;
    await server.close();
    await rm(join(directory, 'pki'), { recursive: true });
    await expect(start(directory)).rejects.toMatchObject({ code: 'AUTHORITY_UNUSABLE' });
    await writeFile(join(directory, 'vigie-server.json'), '{"layout":1}');
    server = await start(directory, {}, now);
    api = new Api(server.httpUrl, token);
    expect(await identityOf(tlsOf(good)).catch((error: Error) => error.message)).not.toBe(200);
    expect(await login('survivor', tlsOf(await api.enroll('survivor')))).toBe('let in');
  });
});

describe('failed enrolments', () => {
  it('are slowed down per address, and let in again after a minute', async () => {
    const token = await newToken(3600);
    for (let attempt = 0; attempt < 40; attempt += 1) await api.requestEnrollment('vge_0123456789abcdef', 'guesser');
    const refused = await api.requestEnrollment(token, 'honest');
    expect([refused.status, refused.body.code]).toEqual([429, 'TOO_MANY_ATTEMPTS']);
    aheadMs = 61_000;
    expect((await api.requestEnrollment(token, 'honest')).status).toBe(200);
  });
});
