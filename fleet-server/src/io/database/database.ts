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
  /**
   * The same database for the mass of work that a fleet makes (`fleet`), or for work that nobody waits for (`background`): an
   * engine that does one statement at a time lets what people ask go before it. Its `close` does nothing.
   */
  ranked(rank: 'fleet' | 'background'): Database;
  close(): Promise<void>;
}

export interface Statement {
  sql: string;
  params: unknown[];
  /** Rows as arrays (Drizzle's queries) or as objects by column name. */
  rows: 'array' | 'object';
}

/** `writes`: its rows, or the rows that it touched, are changes. */
export type MarkedStatement = Statement & { writes: boolean };

export interface Performed {
  results: unknown[][];
  /** Rows of the last statement; null: it was left out. */
  last: unknown[] | null;
}

/** A database engine, by statements that are text already. */
export interface Engine extends Database {
  query(statement: Statement): Promise<unknown[]>;
  /**
   * Runs statements in one transaction, all or none, and `last` behind them in the same one: only where one of those that write
   * changed or returned a row. Throws DatabaseError.
   */
  perform(statements: readonly MarkedStatement[], last: Statement): Promise<Performed>;
}
