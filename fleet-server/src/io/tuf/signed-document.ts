import { sign, verify } from 'node:crypto';
import type { KeyEntry, RoleKeys, Signature } from './metadata-schema.js';
import { publicKeyOf, type SigningKey } from './signing-key.js';

/** Metadata as TUF writes it (TUF 1.0.31, 4.2): what was signed, and by whom. */
export interface SignedDocument<T> {
  signatures: Signature[];
  signed: T;
}

/**
 * Canonical JSON (TUF 1.0.31, 4.1; OLPC): keys sorted, no blanks, whole numbers only, and in strings nothing but `"` and `\`
 * is escaped. Throws TypeError for what it cannot write.
 */
export function canonicalJson(value: unknown): string {
  if (typeof value === 'string') return `"${value.replace(/[\\"]/g, '\\$&')}"`;
  if (value === null || typeof value === 'boolean' || Number.isSafeInteger(value)) return String(value);
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value !== 'object') throw new TypeError(`canonical JSON has no ${typeof value} such as ${String(value)}`);
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  members.sort(([left], [right]) => (left < right ? -1 : 1));
  return `{${members.map(([name, member]) => `${canonicalJson(name)}:${canonicalJson(member)}`).join(',')}}`;
}

/** Adds the signatures of these keys, one per key, to those that are there. */
export function signWith<T>(document: SignedDocument<T>, keys: readonly SigningKey[]): SignedDocument<T> {
  const bytes = Buffer.from(canonicalJson(document.signed));
  const byId = new Map(keys.map((key) => [key.keyid, key]));
  const fresh = [...byId.values()].map(({ keyid, privateKey }) => ({
    keyid,
    sig: sign(null, bytes, privateKey).toString('hex'),
  }));
  const kept = document.signatures.filter(({ keyid }) => !fresh.some((one) => one.keyid === keyid));
  return { signatures: [...kept, ...fresh], signed: document.signed };
}

/** Ids of the role's keys that validly signed this; each counts once (TUF 1.0.31, 5.3.4 and 6.1). */
export function validSigners(
  document: SignedDocument<unknown>,
  role: RoleKeys,
  keys: Readonly<Record<string, KeyEntry>>,
): string[] {
  const bytes = Buffer.from(canonicalJson(document.signed));
  return role.keyids.filter((keyid) => {
    const signature = document.signatures.find((one) => one.keyid === keyid);
    const key = keys[keyid];
    if (signature === undefined || key === undefined) return false;
    return verify(null, bytes, publicKeyOf(key), Buffer.from(signature.sig, 'hex'));
  });
}

/** Did a threshold of the role's keys sign this? */
export function isSigned(
  document: SignedDocument<unknown>,
  role: RoleKeys,
  keys: Readonly<Record<string, KeyEntry>>,
): boolean {
  return validSigners(document, role, keys).length >= role.threshold;
}

/** The bytes as they are stored and travel. */
export function encodeDocument<T>(document: SignedDocument<T>): Buffer {
  return Buffer.from(JSON.stringify(document));
}
