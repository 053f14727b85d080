import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, type webcrypto, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Authority } from './authority.js';
import { checkDeviceRequest } from './device-request.js';
import { ServerCertificate, serverNames } from './server-certificate.js';
import { DAY_MS, ECDSA, newKeyPair, pem, x509 } from './x509-library.js';

const folder = mkdtempSync(join(tmpdir(), 'vigie-pki-'));
const now = new Date();
let authority: Authority;

beforeAll(async () => {
  authority = await Authority.create(folder, now);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What OpenSSL says of a file in the folder. */
function openssl(...args: string[]): string {
  try {
    return execFileSync('openssl', args, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (error) {
    return (error as { stderr: string }).stderr;
  }
}

async function requestOf(algorithm: object, keys?: webcrypto.CryptoKeyPair): Promise<string> {
  const pair = keys ?? ((await crypto.subtle.generateKey(algorithm as never, true, ['sign', 'verify'])) as never);
  return pem(
    await x509.Pkcs10CertificateRequestGenerator.create({
      name: 'CN=operator',
      keys: pair,
      signingAlgorithm: algorithm as never,
    }),
  );
}

describe('the authority', () => {
  it('stays the same once made, and keeps its key to itself', async () => {
    const again = await Authority.create(folder, now);
    expect(again.fingerprint).toBe(authority.fingerprint);
    expect(authority.fingerprint).toMatch(/^[A-Za-z0-9_-]{43}$/);
    expect(statSync(join(folder, 'authority.key')).mode & 0o777).toBe(0o600);
  });

  it('signs what OpenSSL takes, each for its own use only, at a clock that begins at 1970 too', async () => {
    const keys = await newKeyPair();
    const board = await authority.issueDevice('board-1', keys.publicKey, 365, now);
    const server = await authority.issueServer(['localhost', '::1'], keys.publicKey, 365, now);
    writeFileSync(join(folder, 'board.pem'), board.pem);
    writeFileSync(join(folder, 'host.pem'), server.pem);
    const verify = (...args: string[]) => openssl('verify', '-x509_strict', '-CAfile', 'authority.pem', ...args);
    expect(verify('-purpose', 'sslclient', 'board.pem')).toContain('OK');
    expect(verify('-purpose', 'sslserver', 'board.pem')).toContain('purpose');
    expect(verify('-purpose', 'sslserver', '-attime', '1000', 'host.pem')).toContain('OK');
    expect(verify('-purpose', 'sslclient', 'host.pem')).toContain('purpose');
    expect(board.serial).toMatch(/^[4-7][0-9a-f]{31}$/);
    expect(new X509Certificate(board.pem).serialNumber.toLowerCase()).toBe(board.serial);
  });

  it('lists what was revoked', async () => {
    const keys = await newKeyPair();
    const board = await authority.issueDevice('board-2', keys.publicKey, 365, now);
    writeFileSync(join(folder, 'revoked.pem'), board.pem);
    const list = async (serials: string[]) => {
      const revoked = serials.map((serial) => ({ serial, at: now, superseded: false }));
      writeFileSync(join(folder, 'list.pem'), authority.certificate + (await authority.revocationList(revoked, now)));
    };
    await list([]);
    expect(openssl('verify', '-crl_check', '-CAfile', 'list.pem', 'revoked.pem')).toContain('OK');
    await list([board.serial]);
    expect(openssl('verify', '-crl_check', '-CAfile', 'list.pem', 'revoked.pem')).toContain('certificate revoked');
  });

  it('never issues beyond its own end', async () => {
    const keys = await newKeyPair();
    const board = await authority.issueDevice('board-3', keys.publicKey, 100_000, now);
    expect(board.expiresAt).toEqual(new Date(new X509Certificate(authority.certificate).validTo));
  });
});

describe('a request of a board', () => {
  it('is taken with a P-256 key that signed it, whatever its subject says', async () => {
    expect(await checkDeviceRequest(await requestOf(ECDSA))).toMatchObject({ ok: true });
  });

  it('is refused with another kind of key', async () => {
    const rsa = { name: 'RSASSA-PKCS1-v1_5', modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]) };
    for (const [algorithm, word] of [
      [{ ...ECDSA, namedCurve: 'P-384' }, 'P-384'],
      [{ ...rsa, hash: 'SHA-256' }, 'RSASSA'],
    ] as const) {
      expect((await checkDeviceRequest(await requestOf(algorithm))) as unknown).toMatchObject({
        ok: false,
        detail: expect.stringContaining(word),
      });
    }
  });

  it('is refused when another key signed it, and when it is none', async () => {
    const mine = await newKeyPair();
    const foreign = await newKeyPair();
    const mixed = { publicKey: foreign.publicKey, privateKey: mine.privateKey } as webcrypto.CryptoKeyPair;
    expect(await checkDeviceRequest(await requestOf(ECDSA, mixed))).toMatchObject({
      ok: false,
      detail: expect.stringContaining('not signed by the key'),
    });
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    for (const text of ['', 'x', publicKey.export({ type: 'spki', format: 'pem' }).toString(), authority.certificate])
      expect(await checkDeviceRequest(text)).toMatchObject({ ok: false });
  });
});

describe("the server's own certificate", () => {
  it('is kept while it is good and made anew for other names, before its end, and for another authority', async () => {
    let names = serverNames(['127.0.0.1'], ['fleet.example']);
    const certificate = new ServerCertificate(authority, folder, () => names);
    expect(await certificate.renew(now)).toBe(true);
    const first = certificate.credentials.cert;
    expect(await certificate.renew(now)).toBe(false);
    const restarted = new ServerCertificate(authority, folder, () => names);
    expect(await restarted.renew(now)).toBe(true);
    expect(restarted.credentials.cert).toBe(first);
    names = serverNames(['127.0.0.1'], ['other.example']);
    expect(await certificate.renew(now)).toBe(true);
    expect(new X509Certificate(certificate.credentials.cert).checkHost('other.example')).toBe('other.example');
    expect(await certificate.renew(new Date(now.getTime() + 300 * DAY_MS))).toBe(false);
    expect(await certificate.renew(new Date(now.getTime() + 310 * DAY_MS))).toBe(true);
  });

  it('names loopback, the machine, what was asked for, and no wildcard', () => {
    const names = serverNames(['0.0.0.0'], ['Fleet.Example', 'bad name']);
    expect(names).toEqual(expect.arrayContaining(['localhost', '127.0.0.1', '::1', 'fleet.example']));
    expect(names).not.toContain('0.0.0.0');
    expect(names).not.toContain('bad name');
  });
});
