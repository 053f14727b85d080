import type { SQL } from 'drizzle-orm';
import { PgDialect } from 'drizzle-orm/pg-core';
import type { Query } from './database.js';

const dialect = new PgDialect();

/** Hand-written SQL as a query of a transaction. */
export function statement(query: SQL): Query {
  return { toSQL: () => dialect.sqlToQuery(query) };
}
