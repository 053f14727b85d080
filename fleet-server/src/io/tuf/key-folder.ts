import type { KeyObject } from 'node:crypto';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { privateFolder, syncFolder, writeAtomic } from '../atomic-file.js';
import type { Role } from './metadata-schema.js';
import { newSigningKey, parseSigningKey, privatePem, publicPem, type SigningKey } from './signing-key.js';

/** What a key is for; `desired` signs desired states and commands, and is no role of TUF. */
export const KEY_PURPOSES = ['root', 'targets', 'certified', 'snapshot', 'timestamp', 'desired'] as const;
export type KeyPurpose = (typeof KEY_PURPOSES)[number];
/** Whose keys must be here: the server signs for them by itself. */
export const ONLINE_PURPOSES = [
  'certified',
  'snapshot',
  'timestamp',
  'desired',
] as const satisfies readonly KeyPurpose[];

const FILE = /^(root|targets|certified|snapshot|timestamp|desired)-[0-9a-f]{8}\.pem$/;

export function keyFileName(purpose: KeyPurpose, { keyid }: { keyid: string }): string {
  return `${purpose}-${keyid.slice(0, 8)}.pem`;
}

/** Writes a new key: the private half 0600, and the public half beside it (`.pub.pem`). */
export async function writeKeyPair(path: string, key: SigningKey): Promise<void> {
  await writeAtomic(path, privatePem(key));
  await writeAtomic(path.replace(/(\.pem)?$/, '.pub.pem'), publicPem(key));
}

/** The private keys that the server has at hand, as PKCS #8 PEM files (0600) named by purpose and key id. */
export class KeyFolder {
  readonly #directory: string;
  readonly #keys: Map<string, { purpose: KeyPurpose; key: SigningKey }>;

  private constructor(directory: string, keys: Map<string, { purpose: KeyPurpose; key: SigningKey }>) {
    this.#directory = directory;
    this.#keys = keys;
  }

  /** Opens a folder, and makes it when it is not there. Throws TufError KEY_INVALID. */
  static async open(directory: string): Promise<KeyFolder> {
    await privateFolder(directory);
    const keys = new Map<string, { purpose: KeyPurpose; key: SigningKey }>();
    for (const name of (await readdir(directory)).sort()) {
      const purpose = FILE.exec(name)?.[1] as KeyPurpose | undefined;
      if (purpose === undefined) continue;
      const path = join(directory, name);
      const key = parseSigningKey(await readFile(path), path);
      keys.set(key.keyid, { purpose, key });
    }
    return new KeyFolder(directory, keys);
  }

  /** Makes a key and stores it. */
  async create(purpose: KeyPurpose): Promise<SigningKey> {
    const key = newSigningKey();
    await writeAtomic(join(this.#directory, keyFileName(purpose, key)), privatePem(key));
    this.#keys.set(key.keyid, { purpose, key });
    return key;
  }

  /** Those of these keys that are at hand. */
  pick(keyids: readonly string[]): SigningKey[] {
    return keyids.flatMap((keyid) => this.#keys.get(keyid)?.key ?? []);
  }

  of(purpose: KeyPurpose): SigningKey[] {
    return [...this.#keys.values()].filter((one) => one.purpose === purpose).map(({ key }) => key);
  }

  has(keyid: string): boolean {
    return this.#keys.has(keyid);
  }

  /** Private keys that sign desired states and commands. */
  desired(): KeyObject[] {
    return this.of('desired').map(({ privateKey }) => privateKey);
  }

  /** Deletes a key that counts no longer: what is not there cannot be stolen. */
  async remove(keyid: string): Promise<void> {
    const held = this.#keys.get(keyid);
    if (held === undefined) return;
    await rm(join(this.#directory, keyFileName(held.purpose, held.key)), { force: true });
    await syncFolder(this.#directory);
    this.#keys.delete(keyid);
  }
}

/** Is this a role that signs for itself, without a person? */
export function isOnline(role: Role): boolean {
  return (ONLINE_PURPOSES as readonly string[]).includes(role);
}
