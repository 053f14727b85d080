import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import type { KeyEntry } from './metadata-schema.js';
import { TufError } from './tuf-error.js';

/** DER in front of the 32 bytes of an Ed25519 SubjectPublicKeyInfo (RFC 8410, 4). */
const SPKI_HEAD = Buffer.from('302a300506032b6570032100', 'hex');

/** An Ed25519 key as TUF names it. */
export interface PublicKey {
  /** SHA-256 of the canonical JSON of `entry` (TUF 1.0.31, 4.2). */
  keyid: string;
  entry: KeyEntry;
}

export interface SigningKey extends PublicKey {
  privateKey: KeyObject;
}

export function newSigningKey(): SigningKey {
  return signingKey(generateKeyPairSync('ed25519').privateKey);
}

/** Reads a private key, PKCS #8 PEM. Throws TufError KEY_INVALID; `origin` names the file. */
export function parseSigningKey(pem: string | Buffer, origin: string): SigningKey {
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch {
    throw new TufError(
      'KEY_INVALID',
      `${origin}: holds no private key (PKCS #8, PEM); name the file of the key itself`,
    );
  }
  if (key.asymmetricKeyType !== 'ed25519')
    throw new TufError('KEY_INVALID', `${origin}: is a key of type ${key.asymmetricKeyType}; Ed25519 is needed`);
  return signingKey(key);
}

/** Reads a public key, SPKI PEM. Throws TufError KEY_INVALID. */
export function parsePublicKey(pem: string | Buffer, origin: string): PublicKey {
  try {
    if (!pem.includes('PRIVATE')) return publicKey(createPublicKey(pem));
  } catch {
    // Told below.
  }
  throw new TufError('KEY_INVALID', `${origin}: holds no public Ed25519 key (SPKI, PEM); take the .pub.pem of the key`);
}

export function privatePem({ privateKey }: SigningKey): string {
  return privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
}

/** SubjectPublicKeyInfo, PEM. */
export function publicPem({ entry }: PublicKey): string {
  return publicKeyOf(entry).export({ type: 'spki', format: 'pem' }) as string;
}

export function publicKeyOf(entry: KeyEntry): KeyObject {
  const der = Buffer.concat([SPKI_HEAD, Buffer.from(entry.keyval.public, 'hex')]);
  return createPublicKey({ key: der, format: 'der', type: 'spki' });
}

function signingKey(privateKey: KeyObject): SigningKey {
  return { ...publicKey(createPublicKey(privateKey)), privateKey };
}

function publicKey(key: KeyObject): PublicKey {
  if (key.asymmetricKeyType !== 'ed25519') throw new TypeError(`${key.asymmetricKeyType} is not Ed25519`);
  const hex = key.export({ type: 'spki', format: 'der' }).subarray(SPKI_HEAD.length).toString('hex');
  const entry: KeyEntry = { keytype: 'ed25519', scheme: 'ed25519', keyval: { public: hex } };
  const canonical = `{"keytype":"ed25519","keyval":{"public":"${hex}"},"scheme":"ed25519"}`;
  return { keyid: createHash('sha256').update(canonical).digest('hex'), entry };
}
