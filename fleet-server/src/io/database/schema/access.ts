import { sql } from 'drizzle-orm';
import { index, integer, jsonb, pgTable, text } from 'drizzle-orm/pg-core';
import type { Role } from '../../../roles.js';
import type { AuditEntry } from '../../../services/audit-entry.js';
import { counter, instant } from './columns.js';

/** People who log in. */
export const users = pgTable('users', {
  /** Lower case: one spelling per person. */
  name: text('name').primaryKey(),
  role: text('role').$type<Role>().notNull(),
  /** `scrypt$N$r$p$salt$hash`: parameters and salt stand beside the hash. */
  passwordHash: text('password_hash').notNull(),
  createdAt: instant('created_at').notNull(),
  createdBy: text('created_by').notNull(),
  passwordChangedAt: instant('password_changed_at').notNull(),
  lastLoginAt: instant('last_login_at'),
  /** May not log in any more. */
  disabledAt: instant('disabled_at'),
});

/** Logins that last. The role is the user's of this moment. */
export const sessions = pgTable(
  'sessions',
  {
    /** Of the cookie's secret. */
    hash: text('hash').primaryKey(),
    /** By which operators name it. */
    id: text('id').notNull().unique(),
    userName: text('user_name')
      .notNull()
      .references(() => users.name, { onDelete: 'cascade' }),
    createdAt: instant('created_at').notNull(),
    /** Accurate to a minute. */
    seenAt: instant('seen_at').notNull(),
    expiresAt: instant('expires_at').notNull(),
    address: text('address').notNull(),
    userAgent: text('user_agent').notNull(),
  },
  (table) => [index('sessions_by_user').on(table.userName)],
);

/** Tokens of operators, of jobs and of other programs. Only hashes are stored. */
export const apiTokens = pgTable('api_tokens', {
  hash: text('hash').primaryKey(),
  /** By which operators name it. */
  id: text('id').notNull().unique().default(sql`gen_random_uuid()::text`),
  name: text('name').notNull(),
  role: text('role').$type<Role>().notNull().default('admin'),
  createdAt: instant('created_at').notNull(),
  /** Null: who sat at the server's own console. */
  createdBy: text('created_by'),
  expiresAt: instant('expires_at'),
  /** Accurate to a minute. */
  usedAt: instant('used_at'),
  revokedAt: instant('revoked_at'),
});

/** Failed logins per account and network, and per network; all replicas count together. */
export const loginFailures = pgTable('login_failures', {
  /** SHA-256 of account and network: what strangers typed into the name field is not kept. */
  key: text('key').primaryKey(),
  failures: integer('failures').notNull(),
  lastAt: instant('last_at').notNull(),
  lockedUntil: instant('locked_until'),
});

/** Answers that were given, for clients that ask again with the same key. */
export const idempotencyKeys = pgTable(
  'idempotency_keys',
  {
    /** SHA-256 of credential and key. */
    key: text('key').primaryKey(),
    /** SHA-256 of method, address and body. */
    request: text('request').notNull(),
    startedAt: instant('started_at').notNull(),
    expiresAt: instant('expires_at').notNull(),
    /** Null while the first request runs. */
    status: integer('status'),
    /** Encrypted under the client's credential: an answer may hold a secret that is shown once. */
    answer: text('answer'),
  },
  (table) => [index('idempotency_keys_by_expiry').on(table.expiresAt)],
);

/** What operators did: append-only (a trigger refuses everything else), each row bound to the one before it. */
export const audit = pgTable(
  'audit',
  {
    seq: counter('seq').primaryKey(),
    entry: jsonb('entry').$type<AuditEntry>().notNull(),
    previousHash: text('previous_hash').notNull(),
    /** SHA-256 of `previousHash`, `seq` and the canonical JSON of `entry`, with line feeds between. */
    hash: text('hash').notNull(),
  },
  (table) => [
    index('audit_by_actor').on(sql`(${table.entry}->>'actor')`, table.seq),
    index('audit_by_subject').on(sql`(${table.entry}->>'subject')`, table.seq),
  ],
);

/** End of the chain: the one row that writers of the audit log wait for. */
export const auditHead = pgTable('audit_head', {
  id: integer('id').primaryKey(),
  seq: counter('seq').notNull(),
  previousHash: text('previous_hash').notNull(),
  hash: text('hash').notNull(),
});
