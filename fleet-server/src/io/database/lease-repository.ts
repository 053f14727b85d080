import { and, eq, sql } from 'drizzle-orm';
import type { Database } from './database.js';
import { leases } from './schema/leases.js';

/** Leases by the database's clock: replicas need not agree on the time. */
export class LeaseRepository {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Takes or renews a lease for `ttlMs`. Returns whether `holder` has it now. */
  async take(name: string, holder: string, ttlMs: number): Promise<boolean> {
    const until = sql`now() + ${ttlMs} * interval '1 millisecond'`;
    const rows = await this.#database.drizzle
      .insert(leases)
      .values({ name, holder, until })
      .onConflictDoUpdate({
        target: leases.name,
        set: { holder, until },
        setWhere: sql`${leases.until} < now() or ${leases.holder} = ${holder}`,
      })
      .returning({ holder: leases.holder });
    return rows.length === 1;
  }

  async release(name: string, holder: string): Promise<void> {
    await this.#database.drizzle.delete(leases).where(and(eq(leases.name, name), eq(leases.holder, holder)));
  }
}
