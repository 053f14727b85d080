import { drizzle, type PgRemoteDatabase } from 'drizzle-orm/pg-proxy';
import { type Deed, openDeed } from '../../services/deed.js';
import { AuditRepository } from './audit-repository.js';
import type { Database, Engine, Query, Statement } from './database.js';

/**
 * A database that notes who changes it: the first transaction of a request that writes a row of any table ends with the
 * request's row of the audit log, so that there is both or neither. One that writes none (a guard that did not hold) leaves no row.
 * What nobody asked for by a request passes as it is.
 */
export class AuditedDatabase implements Database {
  readonly drizzle: PgRemoteDatabase;
  readonly #inner: Engine;
  readonly #log: AuditRepository;

  constructor(inner: Engine) {
    this.#inner = inner;
    this.#log = new AuditRepository(inner);
    this.drizzle = drizzle(async (sql, params, method) => {
      const statement: Statement = { sql, params, rows: method === 'all' ? 'array' : 'object' };
      const deed = openDeed();
      if (deed === null || !writes(sql)) return { rows: await inner.query(statement) };
      const [rows] = await this.#with(deed, [statement]);
      return { rows };
    });
  }

  get engine(): Database['engine'] {
    return this.#inner.engine;
  }

  async transaction(queries: readonly Query[]): Promise<Record<string, unknown>[][]> {
    const deed = openDeed();
    if (deed === null) return this.#inner.transaction(queries);
    const statements = queries.map((query): Statement => ({ ...query.toSQL(), rows: 'object' }));
    return (await this.#with(deed, statements)) as Record<string, unknown>[][];
  }

  /** For what no request changes: it leaves no row of the audit log. */
  ranked(rank: 'fleet' | 'background'): Database {
    return this.#inner.ranked(rank);
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  async #with({ note, entry }: Deed, statements: readonly Statement[]): Promise<unknown[][]> {
    // What else the request does at the same moment does not take it along a second time.
    note.riding = true;
    try {
      const row: Statement = { ...this.#log.insertion(entry()).toSQL(), rows: 'object' };
      const marked = statements.map((statement) => ({ ...statement, writes: writes(statement.sql) }));
      const { results, last } = await this.#inner.perform(marked, row);
      if (last !== null) {
        note.written = true;
        note.row = Number((last[0] as { seq: unknown }).seq);
      }
      return results;
    } finally {
      note.riding = false;
    }
  }
}

/** May this statement change rows? Locks (`for update`) and what stands in quotes do not count. */
export function writes(statement: string): boolean {
  const words = statement.replace(/'(?:[^']|'')*'|"[^"]*"/g, ' ').replace(/\bfor\s+(no\s+key\s+)?update\b/gi, ' ');
  return /\b(insert|update|delete|merge)\b/i.test(words);
}
