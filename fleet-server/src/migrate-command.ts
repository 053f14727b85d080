import { join } from 'node:path';
import { type Command, Option } from 'commander';
import { pino } from 'pino';
import { ConfigError, type ServerConfig } from './config.js';
import { parts, requireInitialised } from './data-folder-wiring.js';
import { lockDataFolder } from './io/data-folder-lock.js';
import { type MovedTable, moveDatabase } from './io/database/move-database.js';
import { PgliteDatabase } from './io/database/pglite-database.js';
import { FolderObjectStore } from './io/folder-object-store.js';
import { FolderTrustStorage } from './io/tuf/folder-trust-storage.js';
import { loadConfig } from './load-config.js';
import type { ObjectStore } from './ports.js';
import { databaseUrl, openPostgres } from './wiring/database-wiring.js';
import { openObjects } from './wiring/object-wiring.js';

interface MigrateFlags {
  to?: string;
  config?: string;
  data?: string;
  json?: boolean;
}

interface Moved {
  tables: MovedTable[];
  /** Files and pictures that were copied into the object store; null: they stay in the data folder. */
  objects: number | null;
}

/** `vigie-server migrate`: from the embedded engines to others. */
export function addMigrateCommand(program: Command): void {
  program
    .command('migrate')
    .description(
      'copy the embedded database (and objects) of a stopped server to PostgreSQL (and S3); the folder stays as it is',
    )
    .addOption(new Option('--from <engine>', 'where the data is').choices(['embedded']).default('embedded'))
    .option(
      '--to <url>',
      'postgres://user:password@host/database, empty; or VIGIE_DATABASE_URL, or database.url of the file',
    )
    .option('--config <file>', 'YAML file: data folder, TLS of the database, and objects.url where objects go along')
    .option('--data <dir>', 'data folder (default vigie-data)')
    .option('--json', 'print one JSON document')
    .action(async (flags: MigrateFlags) => {
      const { tables, objects } = await migrate(await loadConfig(flags), flags.to, (line) =>
        process.stderr.write(`${line}\n`),
      );
      const rows = tables.reduce((sum, table) => sum + table.rows, 0);
      const text = `Moved ${rows} rows of ${tables.length} tables${objects === null ? '' : ` and ${objects} objects`}. Now run the server with database.url; the embedded database stays as it was and is used no more.\n`;
      process.stdout.write(flags.json ? `${JSON.stringify({ tables, objects })}\n` : text);
    });
}

/** All of the database or nothing. Throws ConfigError, DataFolderError, DataFolderLockedError, MoveError, DatabaseError. */
async function migrate(
  config: ServerConfig,
  to: string | undefined,
  onProgress: (line: string) => void,
): Promise<Moved> {
  const { directory } = config.data;
  const settings = to === undefined ? config.database : { ...config.database, url: to, urlFile: undefined };
  const url = await databaseUrl(settings, process.env);
  if (url === null)
    throw new ConfigError(
      '--to: is missing; name an empty database, such as postgres://vigie:PASSWORD@db.example/vigie',
    );
  await requireInitialised(directory);
  const lock = await lockDataFolder(directory);
  try {
    // Objects first: they harm nobody where the database does not follow.
    const objects = config.objects.url === undefined ? null : await copyObjects(config, onProgress);
    const source = await PgliteDatabase.open(parts(directory).database, () => undefined);
    try {
      // A statement may go over a whole table.
      const patient = { ...settings, statementTimeoutSeconds: 86_400, startupSeconds: 0 };
      const target = await openPostgres(url, patient, pino({ level: 'silent' }));
      try {
        const trust = await new FolderTrustStorage(join(directory, 'tuf')).load();
        const tables = await target.inOneTransaction((inside) => moveDatabase(source, inside, trust, onProgress));
        return { tables, objects };
      } finally {
        await target.close();
      }
    } finally {
      await source.close();
    }
  } finally {
    await lock.release();
  }
}

async function copyObjects({ data, objects }: ServerConfig, onProgress: (line: string) => void): Promise<number> {
  const paths = parts(data.directory);
  const target = await openObjects(objects, { ...paths, temporary: data.directory });
  const copy = async (folder: string, store: ObjectStore) => {
    const source = await FolderObjectStore.open(folder);
    let copied = 0;
    for await (const { sha256, bytes } of source.list()) {
      await store.put(sha256, await source.read(sha256, { offset: 0, length: bytes }));
      copied += 1;
    }
    onProgress(`${folder}: ${copied} objects`);
    return copied;
  };
  return (await copy(paths.blobs, target.blobs)) + (await copy(paths.snapshots, target.pictures));
}
