import { sql } from 'drizzle-orm';
import type { Database } from './database.js';

/** Which objects of the blob store somebody may still ask for. */
export class ReferenceRepository {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /**
   * Files and descriptors of every release that was not withdrawn, and of withdrawn ones that a board shall run, runs or tries.
   * What a board keeps to go back to lies on its own disk: it does not ask for that again.
   */
  async references(): Promise<Set<string>> {
    const rows = (await this.#database.drizzle.execute(sql`
      with used as (
        select desired -> 'release' ->> 'digest' as digest from devices
        union select reported -> 'active' -> 'release' ->> 'digest' from devices
        union select reported -> 'candidate' ->> 'digest' from devices
      ), kept as (
        select descriptor_sha256, descriptor from releases
        where state <> 'withdrawn' or digest in (select digest from used where digest is not null)
      )
      select descriptor_sha256 as sha256 from kept
      union select file ->> 'sha256' from kept, jsonb_array_elements(descriptor -> 'files') as file`)) as unknown as {
      sha256: string;
    }[];
    return new Set(rows.map(({ sha256 }) => sha256));
  }
}
