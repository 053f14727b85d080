import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { drizzle, type PgRemoteDatabase } from 'drizzle-orm/pg-proxy';
import { migrate } from 'drizzle-orm/pg-proxy/migrator';
import { DatabaseError } from '../../database-error.js';
import type { Database, Engine, MarkedStatement, Performed, Query, Statement } from './database.js';
import type { DatabaseReply, Rank, SlowStatement, UnsentRequest } from './pglite-messages.js';

/** Who hears of statements that take longer than `ms`: while one runs, all others wait. */
export interface SlowStatements {
  ms: number;
  told(statement: SlowStatement): void;
}

/** Drizzle over PGlite in a worker thread. */
export class PgliteDatabase implements Engine {
  readonly engine = 'pglite';
  readonly drizzle: PgRemoteDatabase;
  readonly #worker: Worker;
  readonly #waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  #lastId = 0;
  #failure: Error | null = null;
  #closing = false;

  private constructor(
    worker: Worker,
    onLost: (error: Error) => void,
    private readonly slow?: SlowStatements,
  ) {
    this.#worker = worker;
    this.drizzle = this.#drizzle('foreground');
    worker.on('message', (reply: DatabaseReply) => this.#settle(reply));
    const lost = (error: Error) => {
      this.#failure ??= error;
      for (const { reject } of this.#waiting.values()) reject(error);
      this.#waiting.clear();
      if (!this.#closing) onLost(error);
    };
    worker.on('error', lost);
    worker.on('exit', (code) => lost(new DatabaseError(`the database thread ended (exit ${code})`, null)));
  }

  /**
   * Opens (or makes) the database and brings its tables up to date. `onLost`: the thread died; the process cannot go on.
   * `migrationsFolder`: other migrations than the server's own, when a backup of older tables is loaded.
   */
  static async open(
    directory: string,
    onLost: (error: Error) => void,
    migrationsFolder = fileURLToPath(new URL('../../../drizzle', import.meta.url)),
    slow?: SlowStatements,
  ): Promise<PgliteDatabase> {
    const worker = new Worker(new URL('./pglite-worker.js', import.meta.url), {
      workerData: { directory, slowMs: slow?.ms ?? Number.POSITIVE_INFINITY },
    });
    const database = new PgliteDatabase(worker, onLost, slow);
    await new Promise((resolve, reject) => database.#waiting.set(0, { resolve, reject }));
    await migrate(database.drizzle, (queries) => database.#migrate(queries), { migrationsFolder });
    return database;
  }

  /** Runs queries in one transaction: all or none. Returns the rows of each by column name. */
  async transaction(queries: readonly Query[]): Promise<Record<string, unknown>[][]> {
    return this.#transaction(queries, 'foreground');
  }

  ranked(rank: 'fleet' | 'background'): Database {
    return {
      engine: this.engine,
      drizzle: this.#drizzle(rank),
      transaction: (queries) => this.#transaction(queries, rank),
      ranked: (other) => this.ranked(other),
      close: async () => undefined,
    };
  }

  async query(statement: Statement): Promise<unknown[]> {
    return (await this.#call({ operation: 'query', statement })) as unknown[];
  }

  async perform(statements: readonly MarkedStatement[], last: Statement): Promise<Performed> {
    return (await this.#call({ operation: 'perform', statements, last })) as Performed;
  }

  async close(): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    if (this.#failure === null) await this.#call({ operation: 'close' }, 'last');
    await this.#worker.terminate();
  }

  async #migrate(queries: string[]): Promise<void> {
    await this.#call({
      operation: 'transaction',
      statements: queries.map((sql) => ({ sql, params: [], rows: 'object' })),
    });
  }

  #drizzle(rank: Rank): PgRemoteDatabase {
    return drizzle(async (sql, params, method) => {
      const statement: Statement = { sql, params, rows: method === 'all' ? 'array' : 'object' };
      return { rows: (await this.#call({ operation: 'query', statement }, rank)) as unknown[] };
    });
  }

  async #transaction(queries: readonly Query[], rank: Rank): Promise<Record<string, unknown>[][]> {
    const statements = queries.map((query): Statement => {
      const { sql, params } = query.toSQL();
      return { sql, params, rows: 'object' };
    });
    return (await this.#call({ operation: 'transaction', statements }, rank)) as Record<string, unknown>[][];
  }

  #call(request: UnsentRequest, rank: Rank = 'foreground'): Promise<unknown> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ ...request, id, rank });
    });
  }

  #settle(reply: DatabaseReply): void {
    if (reply.id === null) {
      this.slow?.told(reply.slow);
      return;
    }
    const waiting = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    if (reply.ok) waiting?.resolve(reply.result);
    else waiting?.reject(new DatabaseError(reply.message, reply.sqlState));
  }
}
