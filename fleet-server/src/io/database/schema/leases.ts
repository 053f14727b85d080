import { pgTable, text } from 'drizzle-orm/pg-core';
import { instant } from './columns.js';

/** Who does a duty that only one replica may do at a time. Times are the database's own. */
export const leases = pgTable('leases', {
  name: text('name').primaryKey(),
  holder: text('holder').notNull(),
  until: instant('until').notNull(),
});
