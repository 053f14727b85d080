import { createPrivateKey, createPublicKey, type KeyObject, X509Certificate } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Static, Type } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';
import { type DeviceCertificate, EnrollResponse, Instant } from '@vigie/protocol';
import { writeFileAtomic } from './atomic-file.js';

/** Who this board is in its fleet: `<data>/identity.json`, mode 0600, for it holds the board's private key. */
export const Identity = Type.Composite([
  EnrollResponse,
  Type.Object({
    /** PKCS #8 PEM, made on this board; it never leaves it. */
    privateKey: Type.String({ pattern: '^-----BEGIN PRIVATE KEY-----', maxLength: 4000 }),
    hardwareClass: Type.String({ minLength: 1, maxLength: 64 }),
    enrolledAt: Instant,
  }),
]);
export type Identity = Static<typeof Identity>;

/** The identity file stands there but cannot be used. */
export class IdentityError extends Error {
  override readonly name = 'IdentityError';
  readonly code = 'IDENTITY_INVALID';
}

export function identityPath(dataDirectory: string): string {
  return join(dataDirectory, 'identity.json');
}

/** Where the TUF client keeps its metadata. */
export function tufDirectory(dataDirectory: string): string {
  return join(dataDirectory, 'tuf');
}

/** The board's identity; null when it was never enrolled. Throws IdentityError when the file is damaged. */
export async function readIdentity(dataDirectory: string): Promise<Identity | null> {
  const path = identityPath(dataDirectory);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  const wayOut = 'enroll the board again with `vigie-agent enroll --force`';
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new IdentityError(`${path}: ${(error as Error).message}; ${wayOut}`);
  }
  const problem = Value.Errors(Identity, value).First();
  if (problem !== undefined) throw new IdentityError(`${path}: ${problem.path}: ${problem.message}; ${wayOut}`);
  const identity = value as Identity;
  trustedKeysOf(identity);
  const fault = certificateFault(identity, identity.deviceId, identity.privateKey);
  if (fault !== null) throw new IdentityError(`${path}: ${fault}; ${wayOut}`);
  return identity;
}

/** Writes the identity and the TUF root the board begins to trust from. */
export async function writeIdentity(dataDirectory: string, identity: Identity): Promise<void> {
  const tuf = tufDirectory(dataDirectory);
  await mkdir(tuf, { recursive: true, mode: 0o700 });
  await writeFileAtomic(join(tuf, 'root.json'), identity.tufRoot);
  await saveIdentity(dataDirectory, identity);
}

/** Replaces the identity alone, as a whole: after a crash the old one stands there or the new one. */
async function saveIdentity(dataDirectory: string, identity: Identity): Promise<void> {
  await writeFileAtomic(identityPath(dataDirectory), `${JSON.stringify(identity, null, 2)}\n`, 0o600);
}

/** The identity of a running agent; a renewal replaces certificate and key on the disk first, then here. */
export class CurrentIdentity {
  #value: Identity;

  constructor(
    identity: Identity,
    private readonly dataDirectory: string,
  ) {
    this.#value = identity;
  }

  get value(): Identity {
    return this.#value;
  }

  async replaceCertificate({ certificate, authorities }: DeviceCertificate, privateKey: string): Promise<void> {
    const next = { ...this.#value, certificate, authorities, privateKey };
    await saveIdentity(this.dataDirectory, next);
    this.#value = next;
  }
}

/** From when to when a certificate (PEM) is valid, ms since 1970. */
export function validityOf(certificate: string): { from: number; to: number } {
  const { validFrom, validTo } = new X509Certificate(certificate);
  return { from: Date.parse(validFrom), to: Date.parse(validTo) };
}

/** Why a certificate is not this board's: signed by none of its authorities, another name, another key. Null: it is. */
export function certificateFault(answer: DeviceCertificate, deviceId: string, privateKey: string): string | null {
  try {
    const certificate = new X509Certificate(answer.certificate);
    const signed = answer.authorities.some((pem) => certificate.verify(new X509Certificate(pem).publicKey));
    if (!signed) return 'certificate: not signed by the authority beside it';
    if (certificate.subject !== `CN=${deviceId}`) return `certificate: for "${certificate.subject}", not "${deviceId}"`;
    if (!certificate.checkPrivateKey(createPrivateKey(privateKey))) return 'certificate: not for this private key';
    return null;
  } catch (error) {
    return `certificate, authorities or privateKey: ${(error as Error).message}`;
  }
}

/** The keys that sign desired states and commands. Throws IdentityError for one that is no Ed25519 key. */
export function trustedKeysOf(identity: Identity): KeyObject[] {
  return identity.serverKeys.map((pem, index) => {
    let key: KeyObject;
    try {
      key = createPublicKey(pem);
    } catch (error) {
      throw new IdentityError(`serverKeys[${index}]: ${(error as Error).message}`);
    }
    if (key.asymmetricKeyType !== 'ed25519') {
      throw new IdentityError(`serverKeys[${index}]: ${key.asymmetricKeyType} key; Ed25519 is wanted`);
    }
    return key;
  });
}
