import { and, desc, eq, gte, lt, type SQL, sql } from 'drizzle-orm';
import type { Database } from './database.js';
import { events } from './schema/foundation.js';

/** All that is there must hold. */
export interface EventFilter {
  device?: string;
  label?: string;
  type?: 'start' | 'update' | 'end';
  rule?: string;
  /** Times of the event itself: from (inclusive) to (exclusive). */
  from?: Date;
  to?: Date;
}

export interface EventRow {
  id: number;
  deviceId: string;
  receivedAt: Date;
  body: unknown;
}

/** Event messages, in the order in which they came. */
export class EventRepository {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Newest first, so many that came before the one with the number `before`. */
  async page(filter: EventFilter, before: number | null, limit: number): Promise<EventRow[]> {
    const { device, label, type, rule, from, to } = filter;
    const member = (name: string, value: string | undefined): SQL | undefined =>
      value === undefined ? undefined : sql`(body ->> ${sql.raw(`'${name}'`)}) = ${value}`;
    return this.#database.drizzle
      .select({ id: events.id, deviceId: events.deviceId, receivedAt: events.receivedAt, body: events.body })
      .from(events)
      .where(
        and(
          device === undefined ? undefined : eq(events.deviceId, device),
          member('label', label),
          member('type', type),
          member('rule', rule),
          from === undefined ? undefined : gte(events.at, from),
          to === undefined ? undefined : lt(events.at, to),
          before === null ? undefined : lt(events.id, before),
        ),
      )
      .orderBy(desc(events.id))
      .limit(limit);
  }
}
