import { and, desc, eq, gte, lt, or, type SQL, sql } from 'drizzle-orm';
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

/** The row that a page ended with: where times are asked for, by the time of the event, then by its number. */
export interface EventKey {
  at: Date;
  id: number;
}

export interface EventRow extends EventKey {
  deviceId: string;
  receivedAt: Date;
  body: unknown;
}

/** Event messages. */
export class EventRepository {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /**
   * The newest first, so many behind the one with the key `after`: in the order in which they came; where times are asked for,
   * in the order of the events' own times, so that a day of last month is as near as the last hour.
   */
  async page(filter: EventFilter, after: EventKey | null, limit: number): Promise<EventRow[]> {
    const { device, label, type, rule, from, to } = filter;
    const member = (name: string, value: string | undefined): SQL | undefined =>
      value === undefined ? undefined : sql`(body ->> ${sql.raw(`'${name}'`)}) = ${value}`;
    const byTime = isByTime(filter);
    const behind =
      after === null
        ? undefined
        : byTime
          ? or(lt(events.at, after.at), and(eq(events.at, after.at), lt(events.id, after.id)))
          : lt(events.id, after.id);
    return this.#database.drizzle
      .select({
        ...{ id: events.id, deviceId: events.deviceId, at: events.at, receivedAt: events.receivedAt },
        body: events.body,
      })
      .from(events)
      .where(
        and(
          device === undefined ? undefined : eq(events.deviceId, device),
          member('label', label),
          member('type', type),
          member('rule', rule),
          from === undefined ? undefined : gte(events.at, from),
          to === undefined ? undefined : lt(events.at, to),
          // For the index: nothing before the moment of the key is behind it.
          byTime && after !== null ? sql`${events.at} <= ${after.at.toISOString()}::timestamptz` : undefined,
          behind,
        ),
      )
      .orderBy(...(byTime ? [desc(events.at), desc(events.id)] : [desc(events.id)]))
      .limit(limit);
  }
}

/** Are times asked for? */
function isByTime({ from, to }: EventFilter): boolean {
  return from !== undefined || to !== undefined;
}
