import { createHash, randomBytes } from 'node:crypto';

/** What a secret is for; its prefix tells a reader of a leaked one what to revoke. */
export type SecretKind = 'admin' | 'api' | 'session' | 'enrollment';
const PREFIX: Record<SecretKind, string> = { admin: 'vga_', api: 'vgt_', session: 'vgs_', enrollment: 'vge_' };

/** A new secret of 256 random bits. */
export function newSecret(kind: SecretKind): string {
  return PREFIX[kind] + randomBytes(32).toString('base64url');
}

/** Hash under which a secret is stored. Plain SHA-256 is enough: it is 256 random bits, not a word that could be guessed. */
export function hashSecret(secret: string | Buffer): string {
  return createHash('sha256').update(secret).digest('hex');
}

/** An enrolment token as a board is given it: the secret, and by which authority (its fingerprint) the server can be known. */
export function enrollmentToken(secret: string, fingerprint: string): string {
  return `${secret}.${fingerprint}`;
}

/** By what an enrolment token is named to operators: the beginning of its hash. */
export function enrollmentTokenId(hash: string): string {
  return hash.slice(0, 16);
}
