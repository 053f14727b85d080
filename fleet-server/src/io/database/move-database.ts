import { sql } from 'drizzle-orm';
import type { StoredTrust } from '../tuf/trust-storage.js';
import type { Database } from './database.js';
import { DatabaseTrustStorage } from './database-trust-storage.js';
import { advanceSequences, emptyTables, loadRows, type TableShape, tablePages, tableShapes } from './table-dump.js';

/** The database was not moved; nothing was written. */
export class MoveError extends Error {
  constructor(
    readonly code: 'TARGET_NOT_EMPTY' | 'TARGET_DIFFERS',
    message: string,
  ) {
    super(message);
  }
}

/** Of a process, not of the fleet; and the trust, which comes from its folder. */
const LEFT = new Set(['leases', 'trust_files', 'trust_revisions']);
/** A fleet is in a database that holds one of these. */
const TELLING = new Set(['api_tokens', 'users', 'devices', 'releases', 'activity', 'audit', 'trust_files']);
/** Characters of rows in one statement. */
const BATCH = 2_000_000;

export interface MovedTable {
  name: string;
  rows: number;
}

/**
 * Copies all tables and the trust into a database whose tables exist and are empty; call it in one transaction of the target.
 * Counts and checksums of every table are compared at the end, as the databases themselves compute them. Throws MoveError, DatabaseError.
 */
export async function moveDatabase(
  source: Database,
  target: Database,
  trust: StoredTrust,
  onProgress: (line: string) => void,
): Promise<MovedTable[]> {
  const shapes = await tableShapes(target);
  const given = new Set((await tableShapes(source)).map(({ name }) => name));
  const missing = shapes.find(({ name }) => !given.has(name));
  if (missing !== undefined)
    throw new MoveError(
      'TARGET_NOT_EMPTY',
      `the target has a table ${missing.name} that is not of this server; name an empty database`,
    );
  for (const { name } of shapes) {
    if (!TELLING.has(name)) continue;
    const { rows } = await fingerprint(target, name);
    if (rows > 0)
      throw new MoveError(
        'TARGET_NOT_EMPTY',
        `the target holds a fleet already (${rows} rows in ${name}); name an empty database`,
      );
  }
  const moving = shapes.filter(({ name }) => !LEFT.has(name));
  await emptyTables(target, moving);
  const moved: MovedTable[] = [];
  for (const shape of moving) {
    const rows = await copy(source, target, shape);
    onProgress(`${shape.name}: ${rows} rows`);
    moved.push({ name: shape.name, rows });
  }
  await advanceSequences(target, 1);
  const files = [...trust.files].map(([name, bytes]) => ({ name, bytes }));
  await new DatabaseTrustStorage(target).apply(files, 0);
  onProgress(`trust: ${files.length} files`);
  for (const { name } of moving) {
    const [before, after] = [await fingerprint(source, name), await fingerprint(target, name)];
    if (before.rows !== after.rows || before.sum !== after.sum)
      throw new MoveError(
        'TARGET_DIFFERS',
        `${name}: ${before.rows} rows went and ${after.rows} came, or they differ; nothing was moved`,
      );
  }
  onProgress('counts and checksums of all tables agree');
  return moved;
}

async function copy(source: Database, target: Database, shape: TableShape): Promise<number> {
  let rows = 0;
  for await (const page of tablePages(source, shape)) {
    let batch: string[] = [];
    let size = 0;
    for (const row of page) {
      batch.push(row);
      size += row.length;
      if (size < BATCH) continue;
      await loadRows(target, shape, batch);
      [batch, size] = [[], 0];
    }
    await loadRows(target, shape, batch);
    rows += page.length;
  }
  return rows;
}

/** Number of rows, and a sum of their hashes that does not depend on their order. */
async function fingerprint({ drizzle }: Database, table: string): Promise<{ rows: number; sum: string }> {
  const [row] = (await drizzle.execute(sql`
    select count(*) as rows, coalesce(sum(('x' || left(md5(to_jsonb(t)::text), 15))::bit(60)::bigint), 0)::text as sum
    from ${sql.identifier(table)} t`)) as unknown as { rows: number; sum: string }[];
  return { rows: Number(row.rows), sum: row.sum };
}
