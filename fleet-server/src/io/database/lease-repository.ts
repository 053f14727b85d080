import { and, eq, gte, sql } from 'drizzle-orm';
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

  /** Takes a lease from whoever has it. Returns who had it, where that was somebody else and the lease still counted. */
  async seize(name: string, holder: string, ttlMs: number): Promise<string | null> {
    const rows = await this.#database.drizzle.execute(sql`
      with before as (select holder from leases where name = ${name} and until >= now() for update)
      insert into leases (name, holder, until) values (${name}, ${holder}, now() + ${ttlMs} * interval '1 millisecond')
      on conflict (name) do update set holder = excluded.holder, until = excluded.until
      returning (select holder from before) as before`);
    const before = (rows[0] as { before: string | null }).before;
    return before === holder ? null : before;
  }

  /** Names that begin so, of leases that count now. */
  async alive(prefix: string): Promise<string[]> {
    const rows = await this.#database.drizzle
      .select({ name: leases.name })
      .from(leases)
      .where(and(sql`starts_with(${leases.name}, ${prefix})`, gte(leases.until, sql`now()`)))
      .orderBy(leases.name);
    return rows.map(({ name }) => name);
  }

  async release(name: string, holder: string): Promise<void> {
    await this.#database.drizzle.delete(leases).where(and(eq(leases.name, name), eq(leases.holder, holder)));
  }
}
