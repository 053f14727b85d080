import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { type Logger, pino } from 'pino';
import type { ServerConfig } from './config.js';
import { lockDataFolder } from './io/data-folder-lock.js';
import type { Database } from './io/database/database.js';
import { DatabaseTrustStorage } from './io/database/database-trust-storage.js';
import { FolderTrustStorage } from './io/tuf/folder-trust-storage.js';
import { KeyFolder } from './io/tuf/key-folder.js';
import type { TrustStorage } from './io/tuf/trust-storage.js';
import { TufError } from './io/tuf/tuf-error.js';
import { TufRepository } from './io/tuf/tuf-repository.js';
import { tufStatus } from './io/tuf/tuf-status.js';
import type { Now } from './ports.js';
import type { TrustAdministration } from './routes/tuf-routes.js';
import type { Publication } from './services/publication.js';
import { databaseUrl, openDatabase } from './wiring/database-wiring.js';

/** Where the TUF repository is: with an embedded database a folder beside it, else in the database, which replicas share. */
export function trustStorage(dataDirectory: string, database: Database): TrustStorage {
  return database.engine === 'pglite'
    ? new FolderTrustStorage(join(dataDirectory, 'tuf'))
    : new DatabaseTrustStorage(database);
}

/** Opens the trust of a data folder: its keys and its TUF repository. The caller holds the folder's lock. Throws TufError. */
export async function openTrust(dataDirectory: string, storage: TrustStorage, now: Now): Promise<TufRepository> {
  const keys = await KeyFolder.open(join(dataDirectory, 'keys'));
  return TufRepository.open({ storage, keys, now });
}

/** Works on the trust of a stopped server. Throws DataFolderLockedError while one runs. */
export async function withTrust<T>(
  { data: { directory: dataDirectory }, database: settings }: Pick<ServerConfig, 'data' | 'database'>,
  now: Now,
  use: (repository: TufRepository) => Promise<T>,
): Promise<T> {
  await access(join(dataDirectory, 'vigie-server.json')).catch(() => {
    throw new TufError('REQUEST_UNFIT', `${dataDirectory}: is no initialised data folder; name one with --data`);
  });
  const lock = await lockDataFolder(dataDirectory);
  try {
    // The embedded database has no part in it, and need not be opened.
    if ((await databaseUrl(settings, process.env)) === null)
      return await use(await openTrust(dataDirectory, new FolderTrustStorage(join(dataDirectory, 'tuf')), now));
    const database = await openDatabase(settings, '', { log: pino({ level: 'silent' }), onLost: () => undefined });
    try {
      return await use(await openTrust(dataDirectory, trustStorage(dataDirectory, database), now));
    } finally {
      await database.close();
    }
  } finally {
    await lock.release();
  }
}

/** What the API of a running server offers operators. */
export function trustAdministration(repository: TufRepository, publication: Publication): TrustAdministration {
  return {
    status: () => tufStatus(repository),
    staged: () => repository.staged,
    accept: async (offered) => {
      try {
        await publication.changeTrust(() => repository.accept(offered));
        return { ok: true };
      } catch (error) {
        if (!(error instanceof TufError)) throw error;
        const { code, message } = error;
        if (code !== 'STAGED_MISMATCH' && code !== 'KEY_UNKNOWN' && code !== 'SIGNATURE_INVALID') throw error;
        return { ok: false, code, detail: message };
      }
    },
  };
}

/** Logs what operators should hear about: each line when it is new, and again once a day. */
export function trustWatch(repository: TufRepository, log: Logger, now: Now): () => void {
  const told = new Map<string, number>();
  return () => {
    const at = now().getTime();
    for (const line of repository.warnings()) {
      if (at - (told.get(line) ?? Number.NEGATIVE_INFINITY) < 86_400_000) continue;
      told.set(line, at);
      log.warn({ tuf: repository.versions() }, line);
    }
  };
}
