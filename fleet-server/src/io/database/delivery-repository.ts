import { and, desc, eq, lt, sql } from 'drizzle-orm';
import { databaseErrorIn } from '../../database-error.js';
import type { DeliveryAttempt, DeliveryState } from '../../services/channel.js';
import type { Database, Query } from './database.js';
import { deliveries } from './schema/notifications.js';

export type DeliveryRow = typeof deliveries.$inferSelect;

export interface NewDelivery {
  channel: string;
  source: string;
  kind: string;
  body: Record<string, unknown>;
  createdAt: Date;
  replayOf?: number;
}

const FOREIGN_KEY_VIOLATION = '23503';
/** Attempts that are kept of each. */
const LOG = 20;

export class DeliveryRepository {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** In the transaction of what they tell of; the same source goes to a channel once. */
  insertion(rows: readonly NewDelivery[]): Query {
    return this.#database.drizzle
      .insert(deliveries)
      .values(rows.map((row) => ({ ...row, state: 'pending' as const, nextAt: row.createdAt })))
      .onConflictDoNothing();
  }

  /** Null: there is one of this source, or somebody removed the channel just now. */
  async add(row: NewDelivery): Promise<DeliveryRow | null> {
    const added = await this.#database.drizzle
      .insert(deliveries)
      .values({ ...row, state: 'pending', nextAt: row.createdAt })
      .onConflictDoNothing()
      .returning()
      .catch((error: unknown) => {
        if (databaseErrorIn(error)?.sqlState === FOREIGN_KEY_VIOLATION) return [];
        throw error;
      });
    return added[0] ?? null;
  }

  async find(id: number): Promise<DeliveryRow | null> {
    const rows = await this.#database.drizzle.select().from(deliveries).where(eq(deliveries.id, id));
    return rows[0] ?? null;
  }

  /** Channels with something due. */
  async dueChannels(now: Date): Promise<string[]> {
    const rows =
      (await this.#database.drizzle.execute(sql`select name from channels where enabled and disabled_at is null
      and exists (select 1 from deliveries where channel = name and state = 'pending'
        and next_at <= ${now.toISOString()}::timestamptz)`)) as unknown as { name: string }[];
    return rows.map(({ name }) => name);
  }

  /**
   * Takes the next delivery of a channel that is due; nobody else gets it before `until`. Those that failed less come first:
   * one that a receiver never accepts does not hold up the others.
   */
  async claim(channel: string, now: Date, until: Date): Promise<DeliveryRow | null> {
    const due = sql`(select id from deliveries where channel = ${channel} and state = 'pending'
      and next_at <= ${now.toISOString()}::timestamptz order by attempts, id limit 1 for update skip locked)`;
    const rows = await this.#database.drizzle
      .update(deliveries)
      .set({ nextAt: until, attempts: sql`attempts + 1` })
      .where(sql`${deliveries.id} = ${due}`)
      .returning();
    return rows[0] ?? null;
  }

  /** Writes how an attempt ended. `nextAt` null: it is done. */
  async settle(
    id: number,
    attempt: DeliveryAttempt,
    state: DeliveryState,
    now: Date,
    nextAt: Date | null,
  ): Promise<void> {
    await this.#database.drizzle
      .update(deliveries)
      .set({
        state,
        nextAt: nextAt ?? now,
        doneAt: state === 'pending' ? null : now,
        log: sql`(select coalesce(jsonb_agg(entry order by place), '[]') from (
          select entry, place from jsonb_array_elements(log || ${JSON.stringify([attempt])}::jsonb)
          with ordinality as entries(entry, place) order by place desc limit ${LOG}) as newest)`,
      })
      .where(eq(deliveries.id, id));
  }

  /** The channel is not there at all: nothing else of it is tried before then either. */
  async holdBack(channel: string, until: Date): Promise<void> {
    const at = sql`${until.toISOString()}::timestamptz`;
    await this.#database.drizzle
      .update(deliveries)
      .set({ nextAt: until })
      .where(and(eq(deliveries.channel, channel), eq(deliveries.state, 'pending'), sql`next_at < ${at}`));
  }

  /** Newest first, from below `beforeId` on. */
  async list(
    filter: { channel?: string; state?: DeliveryState },
    beforeId: number | null,
    limit: number,
  ): Promise<DeliveryRow[]> {
    return this.#database.drizzle
      .select()
      .from(deliveries)
      .where(
        and(
          filter.channel === undefined ? undefined : eq(deliveries.channel, filter.channel),
          filter.state === undefined ? undefined : eq(deliveries.state, filter.state),
          beforeId === null ? undefined : lt(deliveries.id, beforeId),
        ),
      )
      .orderBy(desc(deliveries.id))
      .limit(limit);
  }

  async pendingCount(): Promise<number> {
    const rows = await this.#database.drizzle
      .select({ count: sql<number>`count(*)` })
      .from(deliveries)
      .where(eq(deliveries.state, 'pending'));
    return Number(rows[0].count);
  }

  /** What cannot be done any more: its channel is switched off, or it waits since before then. */
  async giveUpBefore(createdBefore: Date, now: Date): Promise<void> {
    await this.#database.drizzle
      .update(deliveries)
      .set({ state: 'failed', doneAt: now })
      .where(and(eq(deliveries.state, 'pending'), lt(deliveries.createdAt, createdBefore), lt(deliveries.nextAt, now)));
  }

  async dropDoneBefore(at: Date): Promise<void> {
    await this.#database.drizzle.delete(deliveries).where(lt(deliveries.doneAt, at));
  }
}
