import { and, asc, desc, eq, gt, inArray, lt, sql } from 'drizzle-orm';
import type { ActivityKind } from '../../services/activity-kinds.js';
import type { Database, Query } from './database.js';
import { activity, activityCursors } from './schema/activity.js';

/** Entries that one statement removes. */
const DROPPED_AT_ONCE = 2000;

export interface ActivityEntry {
  at: Date;
  kind: ActivityKind;
  subject: string;
  actor: string;
  body: Record<string, unknown>;
}

export interface ActivityRow extends ActivityEntry {
  id: number;
}

export class ActivityRepository {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** The insert itself, to stand in the transaction of the change that it tells of. */
  insertion(entries: readonly ActivityEntry[]): Query {
    return this.#database.drizzle.insert(activity).values([...entries]);
  }

  async add(entries: readonly ActivityEntry[]): Promise<void> {
    if (entries.length > 0) await this.#database.drizzle.insert(activity).values([...entries]);
  }

  /**
   * Entries above `afterId`, oldest first. Nothing appears below an entry that was seen: writers wait for each other before they
   * get an id (the trigger `activity_in_order`).
   */
  async after(afterId: number, limit: number, kinds?: readonly ActivityKind[]): Promise<ActivityRow[]> {
    return this.#database.drizzle
      .select()
      .from(activity)
      .where(and(gt(activity.id, afterId), kinds === undefined ? undefined : inArray(activity.kind, [...kinds])))
      .orderBy(asc(activity.id))
      .limit(limit);
  }

  /** Like `after`; `seenTo`: the id up to which a reader of these kinds has then seen everything. */
  async passing(
    afterId: number,
    limit: number,
    kinds: readonly ActivityKind[],
  ): Promise<{ rows: ActivityRow[]; seenTo: number }> {
    // In this order: what is written between the two is among the rows, or above the newest.
    const newest = await this.newestId();
    const rows = await this.after(afterId, limit, kinds);
    const last = rows.at(-1)?.id ?? afterId;
    return { rows, seenTo: rows.length === limit ? last : Math.max(last, newest) };
  }

  /** Newest first, below `belowId`. */
  async newest(
    { kinds, subject }: { kinds?: readonly ActivityKind[]; subject?: string },
    belowId: number | null,
    limit: number,
  ): Promise<ActivityRow[]> {
    return this.#database.drizzle
      .select()
      .from(activity)
      .where(
        and(
          belowId === null ? undefined : lt(activity.id, belowId),
          kinds === undefined ? undefined : inArray(activity.kind, [...kinds]),
          subject === undefined ? undefined : eq(activity.subject, subject),
        ),
      )
      .orderBy(desc(activity.id))
      .limit(limit);
  }

  /** Ids of the oldest and the newest entry that are kept; 0 without any. */
  async range(): Promise<{ oldest: number; newest: number }> {
    const rows = await this.#database.drizzle
      .select({
        oldest: sql<number>`coalesce(min(${activity.id}), 0)`,
        newest: sql<number>`coalesce(max(${activity.id}), 0)`,
      })
      .from(activity);
    return { oldest: Number(rows[0].oldest), newest: Number(rows[0].newest) };
  }

  async newestId(): Promise<number> {
    const rows = await this.#database.drizzle
      .select({ id: sql<number>`coalesce(max(${activity.id}), 0)` })
      .from(activity);
    return Number(rows[0].id);
  }

  /** Where a reader goes on; null: it has never read. */
  async cursor(reader: string): Promise<number | null> {
    const rows = await this.#database.drizzle
      .select({ lastId: activityCursors.lastId })
      .from(activityCursors)
      .where(eq(activityCursors.reader, reader));
    return rows[0]?.lastId ?? null;
  }

  /** Stands alone or in the transaction of what the reader did. */
  cursorMove(reader: string, lastId: number): Query & PromiseLike<unknown> {
    return this.#database.drizzle
      .insert(activityCursors)
      .values({ reader, lastId })
      .onConflictDoUpdate({ target: activityCursors.reader, set: { lastId } });
  }

  /** Drops entries from before, the oldest first, until one is young enough; a few at a time. */
  async dropBefore(at: Date): Promise<void> {
    for (let gone = DROPPED_AT_ONCE; gone === DROPPED_AT_ONCE; ) {
      const rows = (await this.#database.drizzle.execute(sql`
        delete from activity where id in (select id from activity order by id limit ${DROPPED_AT_ONCE})
          and at < ${at.toISOString()}::timestamptz returning 1`)) as unknown as unknown[];
      gone = rows.length;
    }
  }
}
