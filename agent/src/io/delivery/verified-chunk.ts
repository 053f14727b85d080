import { createHash } from 'node:crypto';
import type { WantedChunk } from './chunk-transport.js';

/** Are these the bytes that the publisher signed? */
export function isChunk({ sha256, length }: Pick<WantedChunk, 'sha256' | 'length'>, bytes: Uint8Array): boolean {
  return bytes.byteLength === length && createHash('sha256').update(bytes).digest('hex') === sha256;
}
