import { type SQL, sql } from 'drizzle-orm';
import type { Database } from './database.js';

/** Rows that one statement removes or reads. */
const AT_ONCE = 1000;
const list = (names: readonly string[]) => sql`(select jsonb_array_elements_text(${JSON.stringify(names)}::jsonb))`;

/** Which events, snapshots and pictures are old, or named by nobody. */
export class PictureRepository {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Drops event messages that came before; the oldest first, until one is young enough. */
  async dropEvents(before: Date): Promise<void> {
    for (;;) {
      const gone = await this.#rows(sql`
        delete from events where id in (select id from events order by id limit ${AT_ONCE})
          and received_at < ${before.toISOString()}::timestamptz returning 1`);
      if (gone.length < AT_ONCE) return;
    }
  }

  /** Drops snapshots that came before, and notes their pictures for removal. */
  async dropSnapshots(before: Date): Promise<void> {
    for (;;) {
      const gone = await this.#rows(sql`
        with gone as (
          delete from snapshots where id in (
            select id from snapshots where received_at < ${before.toISOString()}::timestamptz limit ${AT_ONCE})
          returning sha256
        ),
        noted as (
          insert into picture_deletions (sha256, at) select distinct sha256, now() from gone order by 1
          on conflict (sha256) do update set at = excluded.at
        )
        select 1 from gone`);
      if (gone.length < AT_ONCE) return;
    }
  }

  /** Pictures noted for removal before. */
  async deletions(before: Date): Promise<string[]> {
    const rows = await this.#rows<{ sha256: string }>(
      sql`select sha256 from picture_deletions where at < ${before.toISOString()}::timestamptz limit ${AT_ONCE}`,
    );
    return rows.map(({ sha256 }) => sha256);
  }

  async forget(names: readonly string[]): Promise<void> {
    await this.#rows(sql`delete from picture_deletions where sha256 in ${list(names)}`);
  }

  /** Those of these pictures that no snapshot names. */
  async unnamed(names: readonly string[]): Promise<string[]> {
    if (names.length === 0) return [];
    const rows = await this.#rows<{ sha256: string }>(sql`
      select sha256 from jsonb_array_elements_text(${JSON.stringify(names)}::jsonb) as given(sha256)
      where not exists (select 1 from snapshots where snapshots.sha256 = given.sha256)`);
    return rows.map(({ sha256 }) => sha256);
  }

  async #rows<Row>(query: SQL): Promise<Row[]> {
    return (await this.#database.drizzle.execute(query)) as unknown as Row[];
  }
}
