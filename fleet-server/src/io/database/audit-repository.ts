import { and, asc, desc, eq, gt, lt, type SQL, sql } from 'drizzle-orm';
import { type AuditEntry, type AuditRecord, type ChainEnd, canonicalJson } from '../../services/audit-entry.js';
import type { Database, Query } from './database.js';
import { rawQuery } from './raw-query.js';
import { audit, auditHead } from './schema/access.js';

export interface AuditFilter {
  actor?: string;
  subject?: string;
  outcome?: string;
  /** ISO 8601 instants: from this one on, and before that one. */
  since?: string;
  before?: string;
}

/** The audit log in the database. */
export class AuditRepository {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /**
   * Appends a row in one statement: the row of `audit_head` is locked from here to the end of the transaction, so that
   * rows of all replicas stand one behind the other. Let it be the last query of its transaction. `onlyIf`: a condition of the
   * same transaction, such as that the change before it took place.
   */
  insertion(entry: AuditEntry, onlyIf?: SQL): Query {
    const text = canonicalJson(entry);
    return rawQuery(
      this.#database,
      sql`with head as (
          update audit_head set seq = seq + 1, previous_hash = hash,
            hash = encode(sha256(convert_to(hash || chr(10) || (seq + 1)::text || chr(10) || ${text}::text, 'UTF8')), 'hex')
          where id = 1 and ${onlyIf ?? sql`true`} returning seq, previous_hash, hash
        )
        insert into audit (seq, entry, previous_hash, hash) select seq, ${text}::jsonb, previous_hash, hash from head returning seq`,
    );
  }

  async append(entry: AuditEntry): Promise<void> {
    await this.#database.transaction([this.insertion(entry)]);
  }

  /** Newest first, below `belowSeq`. */
  async newest(filter: AuditFilter, belowSeq: number | null, limit: number): Promise<AuditRecord[]> {
    return this.#database.drizzle
      .select()
      .from(audit)
      .where(and(belowSeq === null ? undefined : lt(audit.seq, belowSeq), matches(filter)))
      .orderBy(desc(audit.seq))
      .limit(limit);
  }

  /** Oldest first, above `aboveSeq`. */
  async after(aboveSeq: number, limit: number): Promise<AuditRecord[]> {
    return this.#database.drizzle
      .select()
      .from(audit)
      .where(gt(audit.seq, aboveSeq))
      .orderBy(asc(audit.seq))
      .limit(limit);
  }

  /** Where the chain ends by the word of its head. */
  async end(): Promise<ChainEnd> {
    const rows = await this.#database.drizzle
      .select({ seq: auditHead.seq, hash: auditHead.hash })
      .from(auditHead)
      .where(eq(auditHead.id, 1));
    return rows[0];
  }
}

function matches({ actor, subject, outcome, since, before }: AuditFilter): SQL | undefined {
  const member = (name: string) => sql`(${audit.entry}->>${sql.raw(`'${name}'`)})`;
  return and(
    actor === undefined ? undefined : sql`${member('actor')} = ${actor}`,
    subject === undefined ? undefined : sql`${member('subject')} = ${subject}`,
    outcome === undefined ? undefined : sql`${member('outcome')} = ${outcome}`,
    // Instants of one form sort like their text.
    since === undefined ? undefined : sql`${member('at')} >= ${new Date(since).toISOString()}`,
    before === undefined ? undefined : sql`${member('at')} < ${new Date(before).toISOString()}`,
  );
}
