import { randomInt } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { ConnectionOptions } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { drizzle, type PgRemoteDatabase } from 'drizzle-orm/pg-proxy';
import { migrate } from 'drizzle-orm/pg-proxy/migrator';
import pg from 'pg';
import type { Logger } from 'pino';
import { DatabaseError } from '../../database-error.js';
import type { Database, Engine, MarkedStatement, Performed, Query, Statement } from './database.js';
import { failureOf } from './postgres-errors.js';
import { parameter, SAME_AS_PGLITE } from './postgres-values.js';

export interface PostgresOptions {
  /** `postgres://user:password@host:port/database`. */
  url: string;
  /** What is believed and shown in TLS; null: without. */
  tls: ConnectionOptions | null;
  /** Connections at the most. */
  connections: number;
  statementTimeoutMs: number;
  /** How long `open` waits for a database that does not answer yet. */
  startupMs: number;
  log: Logger;
}

/** Oldest PostgreSQL that is supported, as `server_version_num`. */
const OLDEST = 150_000;
const CONNECT_MS = 5000;
/** Runs of a transaction that others get in the way of. */
const ATTEMPTS = 8;
/** Key of the advisory lock under which one replica at a time brings the tables up to date. */
const MIGRATION_LOCK = 0x7669_6769;
const MIGRATIONS = fileURLToPath(new URL('../../../drizzle', import.meta.url));

/**
 * Drizzle over a pool of connections to PostgreSQL. A lost database fails what is under way with `DATABASE_UNAVAILABLE`; the next
 * call connects anew. Nothing whose outcome is unknown is ever run twice.
 */
export class PostgresDatabase implements Engine {
  readonly engine = 'postgres';
  readonly drizzle: PgRemoteDatabase;
  readonly #pool: pg.Pool;
  #closing = false;

  private constructor(options: PostgresOptions) {
    const { connections, statementTimeoutMs, log } = options;
    this.#pool = new pg.Pool({
      ...connectionOptions(options),
      max: connections,
      idleTimeoutMillis: 60_000,
      // A connection that stands for ever keeps what the server remembers for it.
      maxLifetimeSeconds: 3600,
      statement_timeout: statementTimeoutMs,
      idle_in_transaction_session_timeout: statementTimeoutMs,
      // A server that is gone without a word: its own limit is past by then.
      query_timeout: statementTimeoutMs + CONNECT_MS,
    });
    // One that is lost while it is lent out tells of it twice: what runs on it fails, and an event that nobody hears ends the process.
    this.#pool.on('connect', (client) => client.on('error', () => undefined));
    this.#pool.on('error', (error) => log.warn({ err: error.message }, 'a connection to the database was lost'));
    this.drizzle = drizzle(async (sql, params, method) => ({
      rows: await this.query({ sql, params, rows: method === 'all' ? 'array' : 'object' }),
    }));
  }

  /** Connects, waiting for a database that starts, and brings its tables up to date. Throws DatabaseError. */
  static async open(options: PostgresOptions): Promise<PostgresDatabase> {
    const deadline = performance.now() + options.startupMs;
    for (;;) {
      try {
        await bringUpToDate(options);
        return new PostgresDatabase(options);
      } catch (cause) {
        const error = cause instanceof DatabaseError ? cause : failureOf(cause).error;
        if (error.code !== 'DATABASE_UNAVAILABLE' || performance.now() > deadline)
          throw new DatabaseError(`database.url (${shown(options.url)}): ${error.message}`, error.sqlState, {
            unavailable: error.code === 'DATABASE_UNAVAILABLE',
            cause,
          });
        options.log.warn({ database: shown(options.url), err: error.message }, 'waiting for the database');
        await pause(1000);
      }
    }
  }

  async transaction(queries: readonly Query[]): Promise<Record<string, unknown>[][]> {
    return this.#run(async (client) => {
      const results: Record<string, unknown>[][] = [];
      await client.query('begin');
      for (const one of queries) {
        const { sql, params } = one.toSQL();
        results.push((await query(client, sql, params, false)) as Record<string, unknown>[]);
      }
      await client.query('commit');
      return results;
    });
  }

  query({ sql, params, rows }: Statement): Promise<unknown[]> {
    return this.#run((client) => query(client, sql, params, rows === 'array'));
  }

  async perform(statements: readonly MarkedStatement[], last: Statement): Promise<Performed> {
    return this.#run(async (client) => {
      const results: unknown[][] = [];
      let changed = false;
      await client.query('begin');
      for (const { sql, params, rows, writes } of statements) {
        const result = await ask(client, sql, params, rows === 'array');
        results.push(result.rows);
        changed ||= writes && (result.rowCount ?? 0) > 0;
      }
      const { sql, params, rows } = last;
      const lastRows = changed ? await query(client, sql, params, rows === 'array') : null;
      await client.query('commit');
      return { results, last: lastRows };
    });
  }

  /**
   * Runs work of any length on one connection in one transaction: all of it or nothing. Its lists of queries do not stand for
   * themselves. Throws what the work throws, and DatabaseError.
   */
  async inOneTransaction<T>(work: (database: Database) => Promise<T>): Promise<T> {
    const client = await this.#pool.connect().catch((cause: unknown) => {
      throw failureOf(cause).error;
    });
    const run = (text: string, params: unknown[] = [], arrays = false) =>
      query(client, text, params, arrays).catch((cause: unknown) => {
        throw failureOf(cause).error;
      });
    const inside: Database = {
      engine: 'postgres',
      drizzle: drizzle(async (sql, params, method) => ({ rows: await run(sql, params, method === 'all') })),
      transaction: async (queries) => {
        const results: Record<string, unknown>[][] = [];
        for (const one of queries) {
          const { sql, params } = one.toSQL();
          results.push((await run(sql, params)) as Record<string, unknown>[]);
        }
        return results;
      },
      ranked: () => inside,
      close: async () => undefined,
    };
    try {
      await run('begin');
      await run('set local statement_timeout = 0');
      await run('set local idle_in_transaction_session_timeout = 0');
      const result = await work(inside);
      await run('commit');
      return result;
    } finally {
      // An open transaction ends with its connection.
      client.release(true);
    }
  }

  /** Its connections do not wait for each other. */
  ranked(): this {
    return this;
  }

  async close(): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    await this.#pool.end();
  }

  /** Connections that are open, busy or not. */
  get connections(): number {
    return this.#pool.totalCount;
  }

  /** Runs on a connection of its own; again where it was rolled back for certain and others were the reason. */
  async #run<T>(work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      const client = await this.#pool.connect().catch((cause: unknown) => {
        throw failureOf(cause).error;
      });
      try {
        const result = await work(client);
        client.release();
        return result;
      } catch (cause) {
        const { error, contention, lost } = failureOf(cause);
        if (lost) client.release(true);
        else
          await client.query('rollback').then(
            () => client.release(),
            () => client.release(true),
          );
        if (!contention || attempt >= ATTEMPTS) throw error;
        await pause(randomInt(5 * 2 ** attempt));
      }
    }
  }
}

function ask(client: pg.ClientBase, text: string, params: unknown[], arrays: boolean): Promise<pg.QueryResult> {
  const values = params.map(parameter);
  return client.query({ text, values, ...(arrays ? { rowMode: 'array' as const } : {}) });
}

async function query(client: pg.ClientBase, text: string, params: unknown[], arrays: boolean): Promise<unknown[]> {
  return (await ask(client, text, params, arrays)).rows;
}

function connectionOptions({ url, tls }: PostgresOptions): pg.ClientConfig {
  return {
    connectionString: url,
    ssl: tls ?? false,
    types: SAME_AS_PGLITE,
    application_name: 'vigie-server',
    connectionTimeoutMillis: CONNECT_MS,
    keepAlive: true,
    // Times are read as text: in one form, whatever the role or the database is set to.
    options: '-c timezone=UTC -c datestyle=ISO -c intervalstyle=postgres',
  };
}

/** Under a lock that replicas which start at the same time wait for, on a connection without a time limit. */
async function bringUpToDate(options: PostgresOptions): Promise<void> {
  const client = new pg.Client(connectionOptions(options));
  // What is under way is told of a lost connection itself.
  client.on('error', () => undefined);
  await client.connect();
  try {
    const version = Number((await client.query('show server_version_num')).rows[0].server_version_num);
    if (version < OLDEST)
      throw new DatabaseError(
        `PostgreSQL ${Math.floor(version / 10_000)} is too old; use ${OLDEST / 10_000} or newer`,
        null,
      );
    await client.query('select pg_advisory_lock($1)', [MIGRATION_LOCK]);
    const database = drizzle(async (sql, params, method) => ({
      rows: await query(client, sql, params, method === 'all'),
    }));
    const transaction = async (queries: string[]) => {
      await client.query('begin');
      for (const one of queries) await client.query(one);
      await client.query('commit');
    };
    await migrate(database, transaction, { migrationsFolder: MIGRATIONS });
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Without the password. */
function shown(url: string): string {
  const { host, pathname } = new URL(url);
  return `${host}${pathname}`;
}
