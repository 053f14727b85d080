import { bigint, timestamp } from 'drizzle-orm/pg-core';

/**
 * Column types that all tables share. The tables stand in the other files of this folder, one per area of the server;
 * migrations in `fleet-server/drizzle` are generated from them (`npm run migrations -w fleet-server -- --name WHAT`).
 */
export const instant = (name: string) => timestamp(name, { withTimezone: true, mode: 'date', precision: 3 });
/** A whole number up to 2^53 - 1. */
export const counter = (name: string) => bigint(name, { mode: 'number' });
