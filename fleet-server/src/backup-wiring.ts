import { mkdir, mkdtemp, readdir, readFile, rename, rm, rmdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { pino } from 'pino';
import type { ServerConfig } from './config.js';
import { parts, requireInitialised } from './data-folder-wiring.js';
import { privateFolder, syncFolder, writeAtomic } from './io/atomic-file.js';
import { storeBackup } from './io/backup/backup-file.js';
import { BackupError, type Manifest } from './io/backup/backup-format.js';
import { continueSafely, knownMigrations, loadDatabase, migrationsUpTo } from './io/backup/load-database.js';
import { readBackup } from './io/backup/read-backup.js';
import { backupStream } from './io/backup/write-backup.js';
import { lockDataFolder } from './io/data-folder-lock.js';
import type { Database } from './io/database/database.js';
import { DatabaseTrustStorage } from './io/database/database-trust-storage.js';
import { PgliteDatabase } from './io/database/pglite-database.js';
import { FolderTrustStorage } from './io/tuf/folder-trust-storage.js';
import type { Now } from './ports.js';
import { openTrust } from './trust-wiring.js';
import { openDatabase } from './wiring/database-wiring.js';
import type { Core } from './wiring/feature-wiring.js';

/** Numbers go on so much higher after a restore, at the least. */
const LEAST_JUMP = 1000;

export interface BackupOptions {
  telemetry: boolean;
  onProgress: (line: string) => void;
}

/** The backup of a running server as a stream. */
export async function liveBackup(core: Core, server: string, telemetry: boolean): Promise<Readable> {
  return backupStream({
    ...{ database: core.database, directory: core.config.data.directory, server, telemetry, now: core.now() },
    migrations: await knownMigrations(),
    still: async (work) => {
      let result: Awaited<ReturnType<typeof work>> | undefined;
      await core.publication.changeTrust(async () => {
        result = await work();
        return false;
      });
      return result as Awaited<ReturnType<typeof work>>;
    },
  });
}

/**
 * Backs up a server that does not run; its database may be an external one. Objects in S3 stay there. Throws BackupError,
 * DataFolderError, DataFolderLockedError.
 */
export async function backupStopped(
  { data: { directory }, database: settings }: Pick<ServerConfig, 'data' | 'database'>,
  out: string,
  passphrase: string | null,
  { telemetry, onProgress }: BackupOptions,
  server: string,
  now: Now = () => new Date(),
): Promise<Manifest> {
  await requireInitialised(directory);
  const lock = await lockDataFolder(directory);
  try {
    const quiet = { log: pino({ level: 'silent' }), onLost: () => undefined };
    const database = await openDatabase(settings, parts(directory).database, quiet);
    try {
      const source = { database, directory, server, now: now(), telemetry, onProgress };
      const still = <T>(work: () => Promise<T>) => work();
      const stream = backupStream({ ...source, still, migrations: await knownMigrations() });
      return await storeBackup(stream, out, passphrase);
    } finally {
      await database.close();
    }
  } finally {
    await lock.release();
  }
}

export interface Restored {
  dataDirectory: string;
  /** When the backup was made. */
  backupAt: string;
  /** Generations of boards, TUF versions and ids go on so much higher. */
  jump: number;
  tables: { name: string; rows: number }[];
  files: number;
  /** What people must do before boards install anything again. */
  warnings: string[];
}

/**
 * Makes a data folder from a backup. It stands under its name only when everything in it is whole. One number per second since
 * the backup (and at least 1000) is left out everywhere: whatever boards have seen meanwhile is below. Throws BackupError.
 */
export async function restoreBackup(
  from: string,
  directory: string,
  passphrase: string | null,
  onProgress: (line: string) => void,
  now: Now = () => new Date(),
): Promise<Restored> {
  const target = resolve(directory);
  await refuseFilled(target);
  await mkdir(dirname(target), { recursive: true });
  const work = await mkdtemp(`${target}.restoring-`);
  try {
    const files = join(work, 'files');
    const data = join(work, 'data');
    await privateFolder(files);
    await privateFolder(data);
    const manifest = await readBackup(from, passphrase, files);
    onProgress(`${manifest.files.length} files are whole`);
    const seconds = Math.ceil((now().getTime() - Date.parse(manifest.createdAt)) / 1000);
    const jump = Math.max(LEAST_JUMP, seconds);
    await buildDatabase(manifest, files, data, work, jump, now(), onProgress);
    for (const name of await readdir(files)) await rename(join(files, name), join(data, name));
    await bringTrust(data);
    const warnings = await raiseTrust(data, jump, now);
    const markerPath = parts(data).marker;
    const marker = JSON.parse(await readFile(markerPath, 'utf8')) as object;
    const restored = { at: now().toISOString(), backupAt: manifest.createdAt, jump };
    await writeAtomic(markerPath, `${JSON.stringify({ ...marker, restored })}\n`);
    await rmdir(target).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    });
    await rename(data, target);
    await syncFolder(dirname(target));
    const { createdAt: backupAt, tables } = manifest;
    return { dataDirectory: target, backupAt, jump, tables, files: manifest.files.length, warnings };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function refuseFilled(directory: string): Promise<void> {
  const found = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw new BackupError('FOLDER_NOT_EMPTY', `${directory}: cannot be used (${error.code}); name a new folder`);
  });
  if (found.length > 0)
    throw new BackupError(
      'FOLDER_NOT_EMPTY',
      `${directory}: is not empty; restore into a new folder, nothing is overwritten`,
    );
}

async function buildDatabase(
  manifest: Manifest,
  files: string,
  data: string,
  work: string,
  jump: number,
  at: Date,
  onProgress: (line: string) => void,
): Promise<void> {
  const migrations = await migrationsUpTo(manifest.migrations, work);
  const place = parts(data).database;
  await privateFolder(place);
  const old = await PgliteDatabase.open(place, () => undefined, migrations);
  try {
    await loadDatabase(old, manifest, files, onProgress);
  } finally {
    await old.close();
  }
  const database = await PgliteDatabase.open(place, () => undefined);
  try {
    await continueSafely(database, jump, at);
  } finally {
    await database.close();
  }
}

/** Servers on an external database keep the files of their TUF repository in it; here they stand in a folder. */
async function bringTrust(data: string): Promise<void> {
  const folder = join(data, 'tuf');
  if ((await readdir(folder).catch(() => [])).length > 0) return;
  await privateFolder(folder);
  const database: Database = await PgliteDatabase.open(parts(data).database, () => undefined);
  try {
    const { files } = await new DatabaseTrustStorage(database).load();
    const storage = new FolderTrustStorage(folder);
    const { revision } = await storage.load();
    await storage.apply(
      [...files].map(([name, bytes]) => ({ name, bytes })),
      revision,
    );
  } finally {
    await database.close();
  }
}

/** Boards refuse TUF versions that go back. Returns what operators should hear about. */
async function raiseTrust(data: string, jump: number, now: Now): Promise<string[]> {
  const trust = await openTrust(data, new FolderTrustStorage(join(data, 'tuf')), now);
  const { targets, certified, snapshot, timestamp } = trust.versions();
  await trust.continueAbove({
    ...{ targets: targets + jump, certified: certified + jump },
    ...{ snapshot: snapshot + jump, timestamp: timestamp + jump },
  });
  return trust.warnings();
}
