import type { AuditFilter, AuditRepository } from '../io/database/audit-repository.js';
import { type AuditRecord, ChainCheck, type ChainVerdict } from './audit-entry.js';

/** Rows that are read at once. */
const PAGE = 1000;

/** Reads and checks the audit log. */
export class AuditLog {
  constructor(private readonly repository: AuditRepository) {}

  newest(filter: AuditFilter, belowSeq: number | null, limit: number): Promise<AuditRecord[]> {
    return this.repository.newest(filter, belowSeq, limit);
  }

  /** JSON lines, oldest first, a page of rows at a time. */
  async *lines(aboveSeq: number): AsyncGenerator<string> {
    for await (const rows of this.#pages(aboveSeq)) yield rows.map((row) => `${JSON.stringify(row)}\n`).join('');
  }

  /** Walks the whole chain, and compares its end with what the head says. */
  async verify(): Promise<ChainVerdict> {
    // Asked first: rows may come while it walks.
    const end = await this.repository.end();
    const check = new ChainCheck();
    for await (const rows of this.#pages(0)) {
      for (const row of rows) {
        if (!check.add(row)) return check.verdict();
        if (row.seq === end.seq && row.hash !== end.hash)
          return {
            ok: false,
            seq: row.seq,
            code: 'CHAIN_BROKEN',
            detail: `row ${row.seq} is not what the head of the log says`,
          };
      }
    }
    const verdict = check.verdict();
    if (verdict.ok && verdict.end.seq < end.seq) {
      const seq = verdict.end.seq + 1;
      return { ok: false, seq, code: 'SEQUENCE_BROKEN', detail: `rows ${seq} to ${end.seq} are missing` };
    }
    return verdict;
  }

  async *#pages(aboveSeq: number): AsyncGenerator<AuditRecord[]> {
    for (let after = aboveSeq; ; ) {
      const rows = await this.repository.after(after, PAGE);
      if (rows.length > 0) yield rows;
      if (rows.length < PAGE) return;
      after = rows[rows.length - 1].seq;
    }
  }
}
