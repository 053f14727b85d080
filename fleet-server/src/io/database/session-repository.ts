import { and, desc, eq, gt, isNull, lt, or, type SQL, sql } from 'drizzle-orm';
import type { Role } from '../../roles.js';
import type { Database, Query } from './database.js';
import { rawQuery } from './raw-query.js';
import { loginFailures, sessions, users } from './schema/access.js';

/** A login as operators see it. */
export interface SessionRecord {
  id: string;
  user: string;
  role: Role;
  createdAt: Date;
  seenAt: Date;
  expiresAt: Date;
  address: string;
  userAgent: string;
}

export interface NewSession {
  hash: string;
  id: string;
  userName: string;
  createdAt: Date;
  expiresAt: Date;
  address: string;
  userAgent: string;
}

/** Tries that are counted together. */
export interface LockRule {
  key: string;
  /** Failures before it is locked. */
  most: number;
}

const RECORD = {
  id: sessions.id,
  user: sessions.userName,
  role: users.role,
  createdAt: sessions.createdAt,
  seenAt: sessions.seenAt,
  expiresAt: sessions.expiresAt,
  address: sessions.address,
  userAgent: sessions.userAgent,
};

/** Logins, and the ones that failed. */
export class SessionRepository {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Only for a user who still has this password hash and may log in. */
  insertion(session: NewSession, passwordHash: string): Query {
    const { hash, id, userName, createdAt, expiresAt, address, userAgent } = session;
    const at = createdAt.toISOString();
    return rawQuery(
      this.#database,
      sql`insert into sessions (hash, id, user_name, created_at, seen_at, expires_at, address, user_agent)
        select ${hash}, ${id}, name, ${at}::timestamptz, ${at}::timestamptz, ${expiresAt.toISOString()}::timestamptz,
          ${address}, ${userAgent}
        from users where name = ${userName} and password_hash = ${passwordHash} and disabled_at is null returning id`,
    );
  }

  /** The session of this cookie, if it counts now. `idleSince`: it must have been used after that. */
  async findLive(hash: string, now: Date, idleSince: Date): Promise<SessionRecord | null> {
    const [row] = await this.#select(and(eq(sessions.hash, hash), this.#live(now, idleSince))).limit(1);
    return row ?? null;
  }

  async find(id: string): Promise<SessionRecord | null> {
    const [row] = await this.#select(eq(sessions.id, id)).limit(1);
    return row ?? null;
  }

  /** Live ones, newest first, behind the one with this key; of one user or of all. */
  async list(
    user: string | null,
    live: { now: Date; idleSince: Date },
    after: [createdAt: string, id: string] | null,
    limit: number,
  ): Promise<SessionRecord[]> {
    return this.#select(
      and(
        this.#live(live.now, live.idleSince),
        user === null ? undefined : eq(sessions.userName, user),
        after === null
          ? undefined
          : sql`(${sessions.createdAt}, ${sessions.id}) < (${after[0]}::timestamptz, ${after[1]}::text)`,
      ),
    )
      .orderBy(desc(sessions.createdAt), desc(sessions.id))
      .limit(limit);
  }

  async seen(id: string, at: Date): Promise<void> {
    await this.#database.drizzle.update(sessions).set({ seenAt: at }).where(eq(sessions.id, id));
  }

  /** A condition for other statements. */
  isOpen(id: string): SQL {
    return sql`exists (select 1 from sessions where id = ${id})`;
  }

  removal(id: string): Query {
    return this.#database.drizzle.delete(sessions).where(eq(sessions.id, id)).returning({ id: sessions.id });
  }

  /** Removes sessions that ended, and failures that nobody counts any more. */
  async dropEnded(now: Date, idleSince: Date, failuresBefore: Date): Promise<void> {
    await this.#database.drizzle
      .delete(sessions)
      .where(or(lt(sessions.expiresAt, now), lt(sessions.seenAt, idleSince)));
    await this.#database.drizzle
      .delete(loginFailures)
      .where(
        and(
          lt(loginFailures.lastAt, failuresBefore),
          or(isNull(loginFailures.lockedUntil), lt(loginFailures.lockedUntil, now)),
        ),
      );
  }

  /**
   * Counts a try as failed before its password is looked at, so that however many come at once, no more than `most` pass:
   * the last of them locks the key, twice as long each time, up to a day. Returns whether this try may go on.
   */
  async attempt({ key, most }: LockRule, now: Date, windowMs: number, lockMs: number): Promise<boolean> {
    const at = sql`${now.toISOString()}::timestamptz`;
    const ms = sql`interval '1 millisecond'`;
    const counted = sql`(case when coalesce(f.locked_until, f.last_at) > excluded.last_at - ${windowMs}::float8 * ${ms}
      then f.failures + 1 else 1 end)`;
    const rows = await this.#database.drizzle.execute(sql`
      insert into login_failures as f (key, failures, last_at, locked_until)
      values (${key}, 1, ${at}, case when ${most}::int = 1 then ${at} + ${lockMs}::float8 * ${ms} end)
      on conflict (key) do update set
        failures = ${counted},
        last_at = excluded.last_at,
        locked_until = case when ${counted} % ${most}::int = 0
          then excluded.last_at + least(86400000, ${lockMs}::float8 * power(2, least(16, f.failures / ${most}::int))) * ${ms} end
      where f.locked_until is null or f.locked_until <= excluded.last_at
      returning failures`);
    return (rows as unknown[]).length === 1;
  }

  /** Until when a key is locked; null: it is not. */
  async lockedUntil(key: string): Promise<Date | null> {
    const rows = await this.#database.drizzle
      .select({ lockedUntil: loginFailures.lockedUntil })
      .from(loginFailures)
      .where(eq(loginFailures.key, key));
    return rows[0]?.lockedUntil ?? null;
  }

  /** The password was right: this key begins anew. */
  forgetting(key: string): Query {
    return this.#database.drizzle.delete(loginFailures).where(eq(loginFailures.key, key));
  }

  /** Takes one counted try back, and the lock that it may have set: it was no failure. */
  forgiving({ key, most }: LockRule): Query {
    return rawQuery(
      this.#database,
      sql`update login_failures set failures = greatest(0, failures - 1),
        locked_until = case when failures % ${most}::int = 0 then null else locked_until end where key = ${key}`,
    );
  }

  #live(now: Date, idleSince: Date): SQL | undefined {
    return and(gt(sessions.expiresAt, now), gt(sessions.seenAt, idleSince), isNull(users.disabledAt));
  }

  #select(where: SQL | undefined) {
    return this.#database.drizzle
      .select(RECORD)
      .from(sessions)
      .innerJoin(users, eq(users.name, sessions.userName))
      .where(where);
  }
}
