import { createHash } from 'node:crypto';
import type { Role } from '../roles.js';

/** How it ended: done, refused by a rule of the server, or failed by its fault. */
export const AUDIT_OUTCOMES = ['done', 'refused', 'failed'] as const;
export type AuditOutcome = (typeof AUDIT_OUTCOMES)[number];

/** One deed. Strings are well-formed and without NUL; numbers are finite. */
export interface AuditEntry {
  /** ISO 8601, UTC. */
  at: string;
  /** User, token, `device:ID`, `anonymous` or `system`. */
  actor: string;
  role: Role | 'device' | 'system' | null;
  /** Which session or token it came with, `session:ID` or `token:ID`; null without one. */
  credential: string | null;
  /** Address it came from; null: the server itself. */
  address: string | null;
  /** `POST /api/v1/users/:name` or the name of a deed of the server itself, such as `token.create`. */
  action: string;
  /** What it was done to: a user, `name@version`, a device. */
  subject: string;
  outcome: AuditOutcome;
  /** HTTP status; null where no request was. */
  status: number | null;
  /** What else a reader should know; never a secret. */
  details: Record<string, unknown>;
}

/** A row of the log, and a line of its export. */
export interface AuditRecord {
  seq: number;
  previousHash: string;
  hash: string;
  entry: AuditEntry;
}

/** Hash before the first row. */
export const GENESIS = '0'.repeat(64);

/** JSON with sorted keys and no blanks (RFC 8785): a document has one spelling, whatever a database made of its order. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((one) => canonicalJson(one ?? null)).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    if (value instanceof Date) return JSON.stringify(value);
    const members = Object.entries(value).filter(([, member]) => member !== undefined);
    members.sort(([left], [right]) => (left < right ? -1 : 1));
    return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonicalJson(member)}`).join(',')}}`;
  }
  return JSON.stringify(value) ?? 'null';
}

/** Text as a database can hold it: no NUL, no lone surrogates, not longer than `most` characters. */
export function storable(text: string, most = 500): string {
  return text.slice(0, most).replaceAll('\0', '\uFFFD').replace(LONE_SURROGATE, '\uFFFD');
}
const LONE_SURROGATE = /[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/g;

/** The same for every string of a document, names of members included. */
export function storableDocument(value: unknown): unknown {
  if (typeof value === 'string') return storable(value, 10_000);
  if (Array.isArray(value)) return value.map(storableDocument);
  if (typeof value !== 'object' || value === null || value instanceof Date) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [storable(name), storableDocument(member)]));
}

/** Hash of a row: over the hash of the one before it, its own number and its content. */
export function auditHash(previousHash: string, seq: number, entry: AuditEntry): string {
  return createHash('sha256')
    .update(`${previousHash}\n${seq}\n${canonicalJson(entry)}`)
    .digest('hex');
}

/** Where a chain stands. */
export interface ChainEnd {
  seq: number;
  hash: string;
}

export type ChainVerdict =
  | { ok: true; rows: number; end: ChainEnd }
  | {
      ok: false;
      /** Number of the first row that does not fit. */
      seq: number;
      code: 'SEQUENCE_BROKEN' | 'CHAIN_BROKEN' | 'HASH_WRONG';
      detail: string;
    };

/** Checks rows one after the other; needs the clock, the database and the network for nothing. */
export class ChainCheck {
  #end: ChainEnd | null;
  #rows = 0;
  #broken: Extract<ChainVerdict, { ok: false }> | null = null;

  /** `from`: where the row before the first one stood; null believes the first row's word for it (a part of a log). */
  constructor(from: ChainEnd | null = { seq: 0, hash: GENESIS }) {
    this.#end = from;
  }

  /** False: the chain is broken here, and the rest does not matter. */
  add(record: AuditRecord): boolean {
    if (this.#broken !== null) return false;
    const { seq, previousHash, hash, entry } = record;
    const fail = (code: 'SEQUENCE_BROKEN' | 'CHAIN_BROKEN' | 'HASH_WRONG', detail: string) => {
      this.#broken = { ok: false, seq, code, detail };
      return false;
    };
    if (this.#end !== null && seq !== this.#end.seq + 1)
      return fail('SEQUENCE_BROKEN', `row ${this.#end.seq + 1} is missing: row ${seq} stands in its place`);
    if (this.#end !== null && previousHash !== this.#end.hash)
      return fail('CHAIN_BROKEN', `row ${seq} follows another row than the one before it`);
    if (auditHash(previousHash, seq, entry) !== hash)
      return fail('HASH_WRONG', `row ${seq} was changed: its content does not hash to what it says`);
    this.#end = { seq, hash };
    this.#rows += 1;
    return true;
  }

  verdict(): ChainVerdict {
    return this.#broken ?? { ok: true, rows: this.#rows, end: this.#end ?? { seq: 0, hash: GENESIS } };
  }
}
