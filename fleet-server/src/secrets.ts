import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

/** What a secret is for; its prefix tells a reader of a leaked one what to revoke. */
export type SecretKind = 'admin' | 'enrollment' | 'device';
const PREFIX: Record<SecretKind, string> = { admin: 'vga_', enrollment: 'vge_', device: 'vgd_' };

/** A new secret of 256 random bits. */
export function newSecret(kind: SecretKind): string {
  return PREFIX[kind] + randomBytes(32).toString('base64url');
}

/**
 * Hash under which a secret is stored. Plain SHA-256 is enough, and fast when ten thousand boards reconnect: the secret
 * is 256 random bits, not a word that could be guessed.
 */
export function hashSecret(secret: string | Buffer): string {
  return createHash('sha256').update(secret).digest('hex');
}

/** Compares without telling by its time how much was right. */
export function secretMatches(secret: string | Buffer, storedHash: string): boolean {
  const actual = Buffer.from(hashSecret(secret), 'hex');
  const stored = Buffer.from(storedHash, 'hex');
  return stored.length === actual.length && timingSafeEqual(stored, actual);
}
