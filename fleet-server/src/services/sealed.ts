import type { KeyObject } from 'node:crypto';
import { type Envelope, type PayloadType, sealEnvelope } from '@vigie/protocol';

/** Signed by every key that counts: a board may know only the old one, or only the new one. */
export function sealedByAll(payloadType: PayloadType, payload: unknown, keys: readonly KeyObject[]): Envelope {
  const [first, ...others] = keys.map((key) => sealEnvelope(payloadType, payload, key));
  return { ...first, signatures: [first, ...others].flatMap(({ signatures }) => signatures) };
}
