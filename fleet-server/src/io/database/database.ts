import type { PgRemoteDatabase } from 'drizzle-orm/pg-proxy';

/** A Drizzle query that has not run yet. */
export interface Query {
  toSQL(): { sql: string; params: unknown[] };
}

/**
 * PostgreSQL as the repositories see it, whichever engine it is. Drizzle's proxy driver knows no transactions, so they go as
 * lists of queries; what must be decided inside one is decided by SQL (a guard in the `where`, a CTE). On PostgreSQL several
 * replicas do that at the same time: a guard has to stand on the row that is written, not on what was read before.
 */
export interface Database {
  /** `pglite`: one process, one statement at a time, without autovacuum. */
  readonly engine: 'pglite' | 'postgres';
  readonly drizzle: PgRemoteDatabase;
  /** Runs queries in one transaction: all or none. Returns the rows of each by column name. Throws DatabaseError. */
  transaction(queries: readonly Query[]): Promise<Record<string, unknown>[][]>;
  close(): Promise<void>;
}
