import { access, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { privateFolder, writeAtomic } from './io/atomic-file.js';
import { lockDataFolder } from './io/data-folder-lock.js';
import type { Database } from './io/database/database.js';
import { PgliteDatabase } from './io/database/pglite-database.js';
import { TokenRepository } from './io/database/token-repository.js';
import { Authority } from './io/pki/authority.js';
import { createTrust, ONLINE_TRUST, type TrustOptions } from './io/tuf/trust-setup.js';
import type { Now } from './ports.js';
import { enrollmentToken, hashSecret, newSecret } from './secrets.js';
import { trustStorage } from './trust-wiring.js';

/** The data folder cannot be used as it is; the message says what to do. */
export class DataFolderError extends Error {
  readonly code = 'DATA_FOLDER_UNUSABLE';
}

/** Parts of a data folder. */
export const parts = (directory: string) => ({
  database: join(directory, 'database'),
  /** The fleet's certificate authority. */
  pki: join(directory, 'pki'),
  blobs: join(directory, 'blobs'),
  snapshots: join(directory, 'snapshots'),
  /** Packages that are being uploaded in pieces. */
  uploads: join(directory, 'uploads'),
  temporary: join(directory, 'tmp'),
  /** Written last by `init`: without it the folder is not complete. */
  marker: join(directory, 'vigie-server.json'),
});

/** 2: with a certificate authority. An older folder gets one at its next start, and its boards enrol again. */
const LAYOUT = 2;

export interface Initialised {
  dataDirectory: string;
  adminToken: string;
  /** With the fingerprint of the authority behind the point. */
  enrollmentToken: string;
  /** Private keys to carry away: they are nowhere else. */
  offlineKeys: string[];
}

/** Opens the server's database; `embedded` is the folder of the embedded one. */
export type OpenDatabase = (embedded: string) => Promise<Database>;

// A lost thread rejects whatever is under way.
const openEmbedded: OpenDatabase = (embedded) => PgliteDatabase.open(embedded, () => undefined);

/** Makes keys, certificate authority, TUF repository, database, the first operator's token and an enrolment token. An interrupted one may be repeated. */
export async function initialise(
  directory: string,
  now: Now = () => new Date(),
  trust: TrustOptions = ONLINE_TRUST,
  open: OpenDatabase = openEmbedded,
): Promise<Initialised> {
  await privateFolder(directory);
  const paths = parts(directory);
  const lock = await lockDataFolder(directory);
  try {
    if (await exists(paths.marker)) {
      throw new DataFolderError(
        `${directory}: is initialised already; run the server on it, or make a new token with: vigie-server token --data ${directory}`,
      );
    }
    await privateFolder(paths.database);
    const adminToken = newSecret('admin');
    const secret = newSecret('enrollment');
    const { offlineKeys, authority } = await withDatabase(paths.database, open, async (database) => {
      const offlineKeys = await createTrust(directory, trust, now, trustStorage(directory, database));
      const authority = await Authority.create(paths.pki, now());
      const tokens = new TokenRepository(database);
      const at = now();
      await tokens.addApiToken(hashSecret(adminToken), 'first admin', at);
      await tokens.addEnrollmentToken(hashSecret(secret), at, new Date(at.getTime() + 7 * 86_400_000));
      return { offlineKeys, authority };
    });
    await writeMarker(paths.marker, now());
    const token = enrollmentToken(secret, authority.fingerprint);
    return { dataDirectory: directory, adminToken, enrollmentToken: token, offlineKeys };
  } finally {
    await lock.release();
  }
}

/** Makes a further operator's token; the server must not run. */
export async function createAdminToken(
  directory: string,
  name: string,
  now: Now = () => new Date(),
  open: OpenDatabase = openEmbedded,
): Promise<string> {
  await requireInitialised(directory);
  const lock = await lockDataFolder(directory);
  try {
    const token = newSecret('admin');
    await withDatabase(parts(directory).database, open, (database) =>
      new TokenRepository(database).addApiToken(hashSecret(token), name, now()),
    );
    return token;
  } finally {
    await lock.release();
  }
}

/** Brings an older folder to the present layout. */
export async function upgradeLayout(directory: string, now: Date): Promise<void> {
  const { marker, pki } = parts(directory);
  if ((await layoutOf(marker)) >= LAYOUT) return;
  await Authority.create(pki, now);
  await writeMarker(marker, now);
}

/** Throws DataFolderError. */
export async function requireInitialised(directory: string): Promise<void> {
  if (await exists(parts(directory).marker)) return;
  throw new DataFolderError(
    `${directory}: is no initialised data folder; make one with: vigie-server init --data ${directory}`,
  );
}

async function withDatabase<T>(
  embedded: string,
  open: OpenDatabase,
  use: (database: Database) => Promise<T>,
): Promise<T> {
  const database = await open(embedded);
  try {
    return await use(database);
  } finally {
    await database.close();
  }
}

async function layoutOf(marker: string): Promise<number> {
  return (JSON.parse(await readFile(marker, 'utf8')) as { layout: number }).layout;
}

async function writeMarker(path: string, at: Date): Promise<void> {
  await writeAtomic(path, `${JSON.stringify({ layout: LAYOUT, initialisedAt: at.toISOString() })}\n`);
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
