import type { PgRemoteDatabase } from 'drizzle-orm/pg-proxy';

/** A failed statement. `sqlState` is PostgreSQL's code, e.g. `23505` for a duplicate key. */
export class DatabaseError extends Error {
  readonly code = 'DATABASE_FAILED';
  constructor(
    message: string,
    readonly sqlState: string | null,
  ) {
    super(message);
  }
}

/** A Drizzle query that has not run yet. */
export interface Query {
  toSQL(): { sql: string; params: unknown[] };
}

/**
 * PostgreSQL as the repositories see it, whichever engine it is. Drizzle's proxy driver knows no transactions, so they go as
 * lists of queries; what must be decided inside one is decided by SQL (a guard in the `where`, a CTE).
 */
export interface Database {
  readonly drizzle: PgRemoteDatabase;
  /** Runs queries in one transaction: all or none. Returns the rows of each by column name. Throws DatabaseError. */
  transaction(queries: readonly Query[]): Promise<Record<string, unknown>[][]>;
  close(): Promise<void>;
}
