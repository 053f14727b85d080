import { bigint, boolean, index, integer, jsonb, pgTable, text } from 'drizzle-orm/pg-core';
import type { PromotionAlias, PromotionCandidate } from '../../../registry/promotion.js';
import type { UploadFailure, UploadSource, UploadState } from '../../../registry/upload.js';
import { counter, instant } from './columns.js';
import { releases } from './foundation.js';

/** A package on its way in: received in pieces, or fetched from elsewhere; then verified. Its bytes are a file of `home`. */
export const uploads = pgTable(
  'uploads',
  {
    id: text('id').primaryKey(),
    /** The data folder that holds the file: other replicas have no bytes of it. */
    home: text('home').notNull(),
    actor: text('actor').notNull(),
    /** Where the bytes come from. */
    source: jsonb('source').$type<UploadSource>().notNull(),
    /** Announced length, bytes; null: not known before it is fetched. */
    bytes: counter('bytes'),
    /** Announced SHA-256 of the whole archive. */
    sha256: text('sha256'),
    notes: text('notes').notNull().default(''),
    state: text('state').$type<UploadState>().notNull(),
    createdAt: instant('created_at').notNull(),
    /** Last time that bytes came or the state changed: expiry counts from here. */
    touchedAt: instant('touched_at').notNull(),
    failure: jsonb('failure').$type<UploadFailure>(),
    releaseId: integer('release_id').references(() => releases.id),
    /** False: the registry had this very package already. */
    created: boolean('created'),
  },
  (table) => [index('uploads_by_home').on(table.home, table.state)],
);

/**
 * Decisions of people (or of gates) about which release of a model is the champion or the candidate: who, why, compared with
 * what. Append-only: the newest row of a name and alias counts.
 */
export const promotions = pgTable(
  'promotions',
  {
    id: bigint('id', { mode: 'number' }).generatedAlwaysAsIdentity().primaryKey(),
    at: instant('at').notNull(),
    name: text('name').notNull(),
    version: text('version').notNull(),
    releaseId: integer('release_id')
      .notNull()
      .references(() => releases.id),
    alias: text('alias').$type<PromotionAlias>().notNull(),
    actor: text('actor').notNull(),
    reason: text('reason').notNull(),
    /** What was weighed, with the figures of that moment. */
    compared: jsonb('compared').$type<PromotionCandidate[]>().notNull(),
    /** Labels that boards need and the release lacks, when the label contract was overridden. */
    missingLabels: jsonb('missing_labels').$type<string[]>().notNull().default([]),
  },
  (table) => [
    index('promotions_by_alias').on(table.name, table.alias, table.id),
    index('promotions_by_release').on(table.releaseId),
  ],
);
