import { mkdir, readdir } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import type { Now } from '../../ports.js';
import type { RoleSetup } from './bodies.js';
import { FolderTrustStorage } from './folder-trust-storage.js';
import { KeyFolder, keyFileName, ONLINE_PURPOSES, writeKeyPair } from './key-folder.js';
import { newSigningKey, type SigningKey } from './signing-key.js';
import type { TrustStorage } from './trust-storage.js';
import { TufError } from './tuf-error.js';
import { TufRepository } from './tuf-repository.js';

/** How the keys of root and targets are made, and where their private halves go. */
export interface TrustOptions {
  rootKeys: number;
  rootThreshold: number;
  targetsKeys: number;
  targetsThreshold: number;
  /** Folder for the private keys of root and targets; null: the keys folder of the server. */
  offlineDirectory: string | null;
}

export const ONLINE_TRUST: TrustOptions = {
  rootKeys: 1,
  rootThreshold: 1,
  targetsKeys: 1,
  targetsThreshold: 1,
  offlineDirectory: null,
};

/** Makes keys and repository of a new fleet; what is there already stays. Returns the files to carry away. Throws TufError. */
export async function createTrust(
  dataDirectory: string,
  options: TrustOptions,
  now: Now,
  storage: TrustStorage = new FolderTrustStorage(join(dataDirectory, 'tuf')),
): Promise<string[]> {
  for (const role of ['root', 'targets'] as const) {
    const [keys, threshold] = [options[`${role}Keys`], options[`${role}Threshold`]];
    if (threshold > keys)
      throw new TufError(
        'REQUEST_UNFIT',
        `--${role}-threshold ${threshold}: there are only ${keys} keys; make more or ask for fewer`,
      );
  }
  const folder = await KeyFolder.open(join(dataDirectory, 'keys'));
  if (await TufRepository.isThere(storage)) {
    if (folder.of('timestamp').length > 0) return [];
    throw new TufError(
      'REQUEST_UNFIT',
      `${storage.place}: holds the trust of a fleet already, and ${dataDirectory} does not have its keys; a further server gets keys/, pki/ and vigie-server.json of the first one`,
    );
  }
  for (const purpose of ONLINE_PURPOSES) if (folder.of(purpose).length === 0) await folder.create(purpose);
  const carried: string[] = [];
  const make = async (role: 'root' | 'targets'): Promise<RoleSetup & { keys: SigningKey[] }> => {
    const count = options[`${role}Keys`];
    const threshold = options[`${role}Threshold`];
    if (options.offlineDirectory === null) {
      while (folder.of(role).length < count) await folder.create(role);
      return { keys: folder.of(role), threshold };
    }
    const keys = Array.from({ length: count }, newSigningKey);
    for (const key of keys) {
      const path = join(options.offlineDirectory, keyFileName(role, key));
      await writeKeyPair(path, key);
      carried.push(path);
    }
    return { keys, threshold };
  };
  if (options.offlineDirectory !== null) await prepareOffline(options.offlineDirectory, dataDirectory);
  const setup = { root: await make('root'), targets: await make('targets') };
  await TufRepository.create({ storage, now, keys: folder }, setup);
  return carried;
}

async function prepareOffline(directory: string, dataDirectory: string): Promise<void> {
  if (!relative(resolve(dataDirectory), resolve(directory)).startsWith('..')) {
    throw new TufError(
      'REQUEST_UNFIT',
      `--offline-keys ${directory}: lies in the data folder; name one that you can carry away`,
    );
  }
  await mkdir(directory, { recursive: true, mode: 0o700 });
  if ((await readdir(directory)).length === 0) return;
  throw new TufError('REQUEST_UNFIT', `--offline-keys ${directory}: is not empty; name an empty or a new folder`);
}
