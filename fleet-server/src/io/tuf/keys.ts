import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { access, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Key, Signature } from '@tufjs/models';
import { privateFolder, writeAtomic } from '../atomic-file.js';

/** Each key of the server: one per TUF role, and one for desired states and commands. */
export const KEY_NAMES = ['root', 'targets', 'snapshot', 'timestamp', 'desired'] as const;
export type KeyName = (typeof KEY_NAMES)[number];
export type ServerKeys = Record<KeyName, KeyObject>;

/** Makes the keys that are missing, as PKCS #8 PEM files with mode 0600. */
export async function createKeys(directory: string): Promise<void> {
  await privateFolder(directory);
  for (const name of KEY_NAMES) {
    const path = join(directory, `${name}.pem`);
    const there = await access(path).then(
      () => true,
      () => false,
    );
    if (there) continue;
    const { privateKey } = generateKeyPairSync('ed25519');
    await writeAtomic(path, privateKey.export({ type: 'pkcs8', format: 'pem' }) as string);
  }
}

export async function loadKeys(directory: string): Promise<ServerKeys> {
  const keys: Partial<ServerKeys> = {};
  for (const name of KEY_NAMES) keys[name] = createPrivateKey(await readFile(join(directory, `${name}.pem`)));
  return keys as ServerKeys;
}

/** Public half as PEM (SubjectPublicKeyInfo). */
export function publicPem(privateKey: KeyObject): string {
  return createPublicKey(privateKey).export({ type: 'spki', format: 'pem' }) as string;
}

/** A key as TUF metadata names it: the id is the SHA-256 of its canonical JSON (TUF 1.0.31, 4.2). */
export function tufKey(privateKey: KeyObject): Key {
  const spki = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
  // The last 32 bytes of an Ed25519 SubjectPublicKeyInfo are the key itself.
  const hex = spki.subarray(spki.length - 32).toString('hex');
  const canonical = `{"keytype":"ed25519","keyval":{"public":"${hex}"},"scheme":"ed25519"}`;
  const keyID = createHash('sha256').update(canonical).digest('hex');
  return new Key({ keyID, keyType: 'ed25519', scheme: 'ed25519', keyVal: { public: hex } });
}

/** Signs the canonical bytes that `Metadata.sign` hands over. */
export function tufSigner(privateKey: KeyObject): (bytes: Buffer) => Signature {
  const { keyID } = tufKey(privateKey);
  return (bytes) => new Signature({ keyID, sig: sign(null, bytes, privateKey).toString('hex') });
}
