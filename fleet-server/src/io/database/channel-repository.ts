import { and, eq, isNotNull, sql } from 'drizzle-orm';
import type { ChannelSettings, ChannelType } from '../../services/channel.js';
import type { Database } from './database.js';
import { channels } from './schema/notifications.js';

export type ChannelRow = typeof channels.$inferSelect;

export interface ChannelWrite {
  name: string;
  type: ChannelType;
  settings: ChannelSettings;
  /** Encrypted; null: none. */
  secret: string | null;
  events: string[];
  enabled: boolean;
}

export class ChannelRepository {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async list(): Promise<ChannelRow[]> {
    return this.#database.drizzle.select().from(channels).orderBy(channels.name);
  }

  async find(name: string): Promise<ChannelRow | null> {
    const rows = await this.#database.drizzle.select().from(channels).where(eq(channels.name, name));
    return rows[0] ?? null;
  }

  /** A channel that is written anew begins without its failures. Returns what was written: somebody may remove it in the next moment. */
  async put(channel: ChannelWrite, now: Date): Promise<ChannelRow> {
    const { name, ...rest } = channel;
    const set = { ...rest, updatedAt: now, failingSince: null, failures: 0, disabledAt: null, disabledReason: null };
    const [row] = await this.#database.drizzle
      .insert(channels)
      .values({ name, ...set, createdAt: now })
      .onConflictDoUpdate({ target: channels.name, set })
      .returning();
    return row;
  }

  async delete(name: string): Promise<boolean> {
    const gone = await this.#database.drizzle
      .delete(channels)
      .where(eq(channels.name, name))
      .returning({ name: channels.name });
    return gone.length === 1;
  }

  async succeeded(name: string): Promise<void> {
    await this.#database.drizzle
      .update(channels)
      .set({ failingSince: null, failures: 0 })
      .where(and(eq(channels.name, name), isNotNull(channels.failingSince)));
  }

  /** Counts a failure; switches the channel off when it has failed since before `disableBefore`, or at once. Returns whether it did. */
  async failed(name: string, reason: string, now: Date, disableBefore: Date | 'now'): Promise<boolean> {
    await this.#database.drizzle
      .update(channels)
      .set({
        failingSince: sql`coalesce(failing_since, ${now.toISOString()}::timestamptz)`,
        failures: sql`failures + 1`,
      })
      .where(eq(channels.name, name));
    const late = disableBefore === 'now' ? sql`true` : sql`failing_since < ${disableBefore.toISOString()}::timestamptz`;
    const off = await this.#database.drizzle
      .update(channels)
      .set({ disabledAt: now, disabledReason: reason })
      .where(and(eq(channels.name, name), sql`disabled_at is null`, late))
      .returning({ name: channels.name });
    return off.length === 1;
  }
}
