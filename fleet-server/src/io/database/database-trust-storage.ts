import { randomUUID } from 'node:crypto';
import { and, eq, inArray, sql } from 'drizzle-orm';
import type { StoredTrust, TrustStorage, TrustWrite } from '../tuf/trust-storage.js';
import type { Database, Query } from './database.js';
import { trustFiles, trustRevisions } from './schema/trust.js';

/** The TUF repository in the database: a change is one transaction, made only on top of the revision that it was decided by. */
export class DatabaseTrustStorage implements TrustStorage {
  readonly place = 'database (trust_files)';
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async load(): Promise<StoredTrust> {
    // One statement sees one moment.
    const rows = await this.#database.drizzle
      .select({ revision: trustRevisions.revision, name: trustFiles.name, content: trustFiles.content })
      .from(trustRevisions)
      .leftJoin(trustFiles, sql`true`);
    const files = new Map<string, Buffer>();
    for (const { name, content } of rows) if (name !== null && content !== null) files.set(name, Buffer.from(content));
    return { revision: rows[0]?.revision ?? 0, files };
  }

  async revision(): Promise<number> {
    const rows = await this.#database.drizzle.select({ revision: trustRevisions.revision }).from(trustRevisions);
    return rows[0]?.revision ?? 0;
  }

  async apply(writes: readonly TrustWrite[], revision: number): Promise<number | null> {
    const { drizzle } = this.#database;
    const change = randomUUID();
    const last = new Map(writes.map(({ name, bytes }) => [name, bytes]));
    const gone = [...last].flatMap(([name, bytes]) => (bytes === null ? [name] : []));
    const there = [...last].flatMap(([name, bytes]) => (bytes === null ? [] : [{ name, content: bytes.toString() }]));
    // Holds the row until the end: who comes at the same time waits, and then finds another revision.
    const take = drizzle
      .insert(trustRevisions)
      .values({ id: 1, revision: revision + 1, change })
      .onConflictDoUpdate({
        target: trustRevisions.id,
        set: { revision: revision + 1, change },
        setWhere: eq(trustRevisions.revision, revision),
      })
      .returning({ change: trustRevisions.change });
    const taken = sql`exists (select 1 from ${trustRevisions} where ${trustRevisions.change} = ${change})`;
    const queries: Query[] = [take];
    if (gone.length > 0) queries.push(drizzle.delete(trustFiles).where(and(inArray(trustFiles.name, gone), taken)));
    if (there.length > 0) queries.push(written(JSON.stringify(there), change));
    const [rows] = await this.#database.transaction(queries);
    return rows.length === 1 ? revision + 1 : null;
  }
}

/** Drizzle's insert knows no condition. */
function written(rows: string, change: string): Query {
  const text = `insert into trust_files (name, content)
    select name, content from jsonb_to_recordset($1::jsonb) as given(name text, content text)
    where exists (select 1 from trust_revisions where change = $2)
    on conflict (name) do update set content = excluded.content`;
  return { toSQL: () => ({ sql: text, params: [rows, change] }) };
}
