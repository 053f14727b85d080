import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { canonicalize } from '@tufjs/canonical-json';

/** An Ed25519 key and its name in TUF metadata. */
export interface TufKey {
  privateKey: KeyObject;
  keyid: string;
  /** The key as TUF metadata lists it. */
  entry: { keytype: string; scheme: string; keyval: { public: string } };
}

/** A fresh Ed25519 key; its id is the SHA-256 of its canonical JSON (TUF specification 1.0.31, section 4.2). */
export function newTufKey(): TufKey {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const raw = publicKey.export({ type: 'spki', format: 'der' }).subarray(-32);
  const entry = { keytype: 'ed25519', scheme: 'ed25519', keyval: { public: raw.toString('hex') } };
  return { privateKey, keyid: createHash('sha256').update(canonicalize(entry)).digest('hex'), entry };
}

/** Signed metadata as bytes, written without any library of the programs under test. */
export function signMetadata(signed: Record<string, unknown>, key: TufKey, claimedKeyId = key.keyid): Buffer {
  const sig = sign(null, Buffer.from(canonicalize(signed)), key.privateKey).toString('hex');
  return Buffer.from(JSON.stringify({ signatures: [{ keyid: claimedKeyId, sig }], signed }));
}

/** Common head of a role's metadata; it expires in ten days. */
export function metadataHead(type: string, version: number): Record<string, unknown> {
  const expires = new Date(Date.now() + 10 * 86_400_000).toISOString().replace(/\.\d+Z$/, 'Z');
  return { _type: type, spec_version: '1.0.31', version, expires };
}
