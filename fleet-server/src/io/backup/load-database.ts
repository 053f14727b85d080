import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sql } from 'drizzle-orm';
import type { Database } from '../database/database.js';
import { advanceSequences, emptyTables, loadRows, tableShapes } from '../database/table-dump.js';
import { BackupError, type Manifest } from './backup-format.js';

const MIGRATIONS = fileURLToPath(new URL('../../../drizzle', import.meta.url));
/** Lines of one statement, characters. */
const BATCH = 2_000_000;

interface Journal {
  entries: { tag: string }[];
}

/** Names of all migrations that this server knows, oldest first. */
export async function knownMigrations(): Promise<string[]> {
  return (await readJournal()).entries.map(({ tag }) => tag);
}

async function readJournal(): Promise<Journal> {
  return JSON.parse(await readFile(join(MIGRATIONS, 'meta', '_journal.json'), 'utf8')) as Journal;
}

/**
 * A folder with the first of this server's migrations: rows are loaded into tables of the form they were dumped from, and the
 * later migrations carry them on. Throws BackupError.
 */
export async function migrationsUpTo(tags: readonly string[], temporary: string): Promise<string> {
  const journal = await readJournal();
  const entries = journal.entries.slice(0, tags.length);
  if (tags.some((tag, index) => entries[index]?.tag !== tag)) {
    const newer = tags.length > journal.entries.length;
    throw new BackupError(
      newer ? 'BACKUP_TOO_NEW' : 'BACKUP_FOREIGN',
      newer
        ? `the backup is of a newer vigie-server (${tags[tags.length - 1]}); restore it with that one`
        : 'the backup is of a server with other tables than any vigie-server of this line',
    );
  }
  const folder = await mkdtemp(join(temporary, 'migrations-'));
  await mkdir(join(folder, 'meta'));
  await writeFile(join(folder, 'meta', '_journal.json'), JSON.stringify({ ...journal, entries }));
  for (const { tag } of entries) await cp(join(MIGRATIONS, `${tag}.sql`), join(folder, `${tag}.sql`));
  return folder;
}

/** Loads the extracted tables below `folder` into a fresh database. Throws BackupError for rows that do not fit. */
export async function loadDatabase(
  database: Database,
  manifest: Manifest,
  folder: string,
  onProgress: (line: string) => void,
): Promise<void> {
  const shapes = await tableShapes(database);
  const dumped = new Map(manifest.tables.map(({ name, rows }) => [name, rows]));
  const wanted = shapes.filter(({ name }) => dumped.has(name));
  if (wanted.length !== dumped.size)
    throw new BackupError('BACKUP_FOREIGN', 'the backup holds tables that are not known');
  await emptyTables(database, wanted);
  for (const shape of wanted) {
    const place = join(folder, 'database', shape.name);
    let rows = 0;
    for (const part of (await readdir(place).catch(() => [] as string[])).sort()) {
      const lines = (await readFile(join(place, part), 'utf8')).split('\n').filter((line) => line !== '');
      for (const batch of batches(lines)) {
        await loadRows(database, shape, batch).catch((error: Error) => {
          throw new BackupError('BACKUP_DAMAGED', `table ${shape.name}: a row does not fit (${error.message})`);
        });
      }
      rows += lines.length;
    }
    if (rows !== dumped.get(shape.name))
      throw new BackupError('BACKUP_DAMAGED', `table ${shape.name}: ${rows} rows of ${dumped.get(shape.name)}`);
    onProgress(`${shape.name}: ${rows} rows`);
  }
  await rm(join(folder, 'database'), { recursive: true, force: true });
}

function* batches(lines: readonly string[]): Generator<string[]> {
  let batch: string[] = [];
  let size = 0;
  for (const line of lines) {
    batch.push(line);
    size += line.length;
    if (size < BATCH) continue;
    yield batch;
    [batch, size] = [[], 0];
  }
  yield batch;
}

/**
 * Makes a restored database safe for a fleet that went on without it. Boards have seen higher generations and newer releases
 * than it knows: so every number goes on `jump` higher, no board is told a release before somebody says so again, and rollouts
 * that were under way stand still.
 */
export async function continueSafely(database: Database, jump: number, now: Date): Promise<void> {
  const at = sql`${now.toISOString()}::timestamptz`;
  const reason = JSON.stringify({
    code: 'OPERATOR',
    text: 'the server was restored from a backup; look at the boards first',
  });
  const run = (statement: ReturnType<typeof sql>) => database.drizzle.execute(statement);
  await run(sql`update devices set generation = generation + ${jump}::bigint, desired_release_id = null, online = false,
    desired = case when desired is null then null else (desired - '{retry,trial,shadow,delivery}'::text[]) || jsonb_build_object(
      'generation', generation + ${jump}::bigint, 'issuedAt', ${now.toISOString()}::text, 'release', null) end`);
  await run(sql`update rollouts set revision = revision + 1, updated_at = ${at},
    progress = jsonb_set(progress, '{reason}', ${reason}::jsonb),
    start_at = case when state = 'scheduled' then null else start_at end,
    ended_at = case when state in ('stopping', 'turning-back') then ${at} else ended_at end,
    state = case state when 'scheduled' then 'ready' when 'running' then 'paused' else 'aborted' end
    where state in ('scheduled', 'running', 'stopping', 'turning-back')`);
  // The log was read a moment later than its end.
  await run(sql`update audit_head set seq = last.seq, previous_hash = last.previous_hash, hash = last.hash
    from (select seq, previous_hash, hash from audit order by seq desc limit 1) as last`);
  await advanceSequences(database, jump);
}
