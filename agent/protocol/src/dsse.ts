import { createHash, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { type Static, Type } from '@sinclair/typebox';

/** Dead Simple Signing Envelope v1.0 (github.com/secure-systems-lab/dsse). `payload` and `sig` are base64. */
export const Envelope = Type.Object({
  payloadType: Type.String({ maxLength: 128 }),
  payload: Type.String({ maxLength: 120_000 }),
  signatures: Type.Array(Type.Object({ keyid: Type.String({ maxLength: 64 }), sig: Type.String({ maxLength: 256 }) }), {
    minItems: 1,
    maxItems: 4,
  }),
});
export type Envelope = Static<typeof Envelope>;

/** Payload types: a signature over one kind of message never counts for another. */
export const PAYLOAD_TYPE = {
  desired: 'application/vnd.vigie.desired.v1+json',
  command: 'application/vnd.vigie.command.v1+json',
} as const;
export type PayloadType = (typeof PAYLOAD_TYPE)[keyof typeof PAYLOAD_TYPE];

/** Pre-authentication encoding: `DSSEv1 <len> <type> <len> <body>` (protocol.md of DSSE). */
export function preAuthenticationEncoding(payloadType: string, payload: Buffer): Buffer {
  const head = `DSSEv1 ${Buffer.byteLength(payloadType)} ${payloadType} ${payload.length} `;
  return Buffer.concat([Buffer.from(head), payload]);
}

/** Ids of keys that were asked for before: exporting a key takes longer than signing with it, and a fleet has one key. */
const ids = new WeakMap<KeyObject, string>();

/** Key id of an Ed25519 key: SHA-256 (hex) of the SubjectPublicKeyInfo DER of its public half. */
export function keyId(key: KeyObject): string {
  let id = ids.get(key);
  if (id === undefined) {
    const publicKey = key.type === 'private' ? createPublicKey(key) : key;
    id = createHash('sha256')
      .update(publicKey.export({ type: 'spki', format: 'der' }))
      .digest('hex');
    ids.set(key, id);
  }
  return id;
}

/** Signs a JSON payload with one Ed25519 private key. */
export function sealEnvelope(payloadType: PayloadType, message: unknown, privateKey: KeyObject): Envelope {
  const payload = Buffer.from(JSON.stringify(message));
  const sig = sign(null, preAuthenticationEncoding(payloadType, payload), privateKey);
  return {
    payloadType,
    payload: payload.toString('base64'),
    signatures: [{ keyid: keyId(privateKey), sig: sig.toString('base64') }],
  };
}

export type OpenedEnvelope =
  | { ok: true; payload: Buffer }
  | { ok: false; code: 'ENVELOPE_TYPE_MISMATCH' | 'ENVELOPE_SIGNATURE_INVALID' };

/** Opens an envelope of the expected type if one of the trusted keys signed it; the payload is returned unparsed. */
export function openEnvelope(envelope: Envelope, expected: PayloadType, trusted: readonly KeyObject[]): OpenedEnvelope {
  if (envelope.payloadType !== expected) return { ok: false, code: 'ENVELOPE_TYPE_MISMATCH' };
  const payload = Buffer.from(envelope.payload, 'base64');
  const encoded = preAuthenticationEncoding(envelope.payloadType, payload);
  const byId = new Map(trusted.map((key) => [keyId(key), key]));
  for (const { keyid, sig } of envelope.signatures) {
    const key = byId.get(keyid);
    if (key !== undefined && verify(null, encoded, key, Buffer.from(sig, 'base64'))) return { ok: true, payload };
  }
  return { ok: false, code: 'ENVELOPE_SIGNATURE_INVALID' };
}
