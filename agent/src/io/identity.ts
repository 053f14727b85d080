import { createPublicKey, type KeyObject } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Static, Type } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';
import { EnrollResponse, Instant } from '@vigie/protocol';
import { writeFileAtomic } from './atomic-file.js';

/** Who this board is in its fleet: `<data>/identity.json`, mode 0600, for it holds the board's MQTT password. */
export const Identity = Type.Composite([
  EnrollResponse,
  Type.Object({ hardwareClass: Type.String({ minLength: 1, maxLength: 64 }), enrolledAt: Instant }),
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
  return identity;
}

/** Writes the identity and the TUF root the board begins to trust from. */
export async function writeIdentity(dataDirectory: string, identity: Identity): Promise<void> {
  const tuf = tufDirectory(dataDirectory);
  await mkdir(tuf, { recursive: true, mode: 0o700 });
  await writeFileAtomic(join(tuf, 'root.json'), identity.tufRoot);
  await writeFileAtomic(identityPath(dataDirectory), `${JSON.stringify(identity, null, 2)}\n`, 0o600);
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
