import type { KeyObject } from 'node:crypto';
import { type Envelope, keyId, type OpenedEnvelope, openEnvelope, type PayloadType } from '@vigie/protocol';

/** The Ed25519 keys that may sign desired states and commands now, and those that might once. Changes as metadata does. */
export interface ServerKeyring {
  readonly trusted: readonly KeyObject[];
  readonly revoked: readonly KeyObject[];
}

export type JudgedEnvelope =
  | { ok: true; payload: Buffer }
  | { ok: false; code: 'ENVELOPE_TYPE_MISMATCH' | 'ENVELOPE_SIGNATURE_INVALID' | 'ENVELOPE_KEY_REVOKED' };

/** Opens an envelope by a trusted key; tells a valid signature of a revoked one from a signature that is none. */
export function openByKeyring(envelope: Envelope, expected: PayloadType, keys: ServerKeyring): JudgedEnvelope {
  const opened: OpenedEnvelope = openEnvelope(envelope, expected, keys.trusted);
  if (opened.ok || opened.code === 'ENVELOPE_TYPE_MISMATCH') return opened;
  return openEnvelope(envelope, expected, keys.revoked).ok ? { ok: false, code: 'ENVELOPE_KEY_REVOKED' } : opened;
}

/** Does it name only signers that this board has never heard of? Then newer metadata may know one. */
export function signerUnknown(envelope: Envelope, keys: ServerKeyring): boolean {
  const known = new Set([...keys.trusted, ...keys.revoked].map(keyId));
  return envelope.signatures.every(({ keyid }) => !known.has(keyid));
}
