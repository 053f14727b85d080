import { sql } from 'drizzle-orm';
import { check, integer, pgTable, text } from 'drizzle-orm/pg-core';
import { counter } from './columns.js';

/** The files of the TUF repository, where several servers share one: exact bytes, all of them JSON. */
export const trustFiles = pgTable('trust_files', {
  name: text('name').primaryKey(),
  content: text('content').notNull(),
});

/** One row: how often the files were changed, and by which change last. */
export const trustRevisions = pgTable(
  'trust_revisions',
  {
    id: integer('id').primaryKey(),
    revision: counter('revision').notNull(),
    change: text('change').notNull(),
  },
  (table) => [check('trust_revisions_one_row', sql`${table.id} = 1`)],
);
