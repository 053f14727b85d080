import { and, asc, eq, gt, isNull, sql } from 'drizzle-orm';
import type { Role } from '../../roles.js';
import type { Database, Query } from './database.js';
import { sessions, users } from './schema/access.js';

/** A user as operators see it. */
export interface UserRecord {
  name: string;
  role: Role;
  createdAt: Date;
  createdBy: string;
  passwordChangedAt: Date;
  lastLoginAt: Date | null;
  disabledAt: Date | null;
}

export interface UserChange {
  role?: Role;
  passwordHash?: string;
  passwordChangedAt?: Date;
  disabledAt?: Date | null;
}

const RECORD = {
  name: users.name,
  role: users.role,
  createdAt: users.createdAt,
  createdBy: users.createdBy,
  passwordChangedAt: users.passwordChangedAt,
  lastLoginAt: users.lastLoginAt,
  disabledAt: users.disabledAt,
};

/** People and the hashes of their passwords. */
export class UserRepository {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async find(name: string): Promise<UserRecord | null> {
    const rows = await this.#database.drizzle.select(RECORD).from(users).where(eq(users.name, name));
    return rows[0] ?? null;
  }

  async list(after: string | null, limit: number): Promise<UserRecord[]> {
    return this.#database.drizzle
      .select(RECORD)
      .from(users)
      .where(after === null ? undefined : gt(users.name, after))
      .orderBy(asc(users.name))
      .limit(limit);
  }

  /** Hash of a user who may log in; null: there is none. */
  async passwordHash(name: string): Promise<string | null> {
    const rows = await this.#database.drizzle
      .select({ passwordHash: users.passwordHash })
      .from(users)
      .where(and(eq(users.name, name), isNull(users.disabledAt)));
    return rows[0]?.passwordHash ?? null;
  }

  /** Does nothing where the name is taken; the row's `createdAt` tells. */
  insertion(user: Omit<UserRecord, 'lastLoginAt' | 'disabledAt'> & { passwordHash: string }): Query {
    return this.#database.drizzle.insert(users).values(user).onConflictDoNothing().returning({ name: users.name });
  }

  change(name: string, change: UserChange): Query {
    return this.#database.drizzle.update(users).set(change).where(eq(users.name, name)).returning({ name: users.name });
  }

  /** Only while the hash is still this one: of two changes at the same time one wins. */
  passwordChange(name: string, from: string, to: { passwordHash: string; passwordChangedAt: Date }): Query {
    return this.#database.drizzle
      .update(users)
      .set(to)
      .where(and(eq(users.name, name), eq(users.passwordHash, from)))
      .returning({ name: users.name });
  }

  /** The same password under newer parameters. */
  async rehash(name: string, from: string, to: string): Promise<void> {
    await this.#database.drizzle
      .update(users)
      .set({ passwordHash: to })
      .where(and(eq(users.name, name), eq(users.passwordHash, from)));
  }

  removal(name: string): Query {
    return this.#database.drizzle.delete(users).where(eq(users.name, name)).returning({ name: users.name });
  }

  loggedIn(name: string, at: Date): Query {
    return this.#database.drizzle.update(users).set({ lastLoginAt: at }).where(eq(users.name, name));
  }

  /** Ends the sessions of a user; all but one, where it is named. */
  endingOfSessions(name: string, exceptId: string | null = null): Query {
    return this.#database.drizzle
      .delete(sessions)
      .where(and(eq(sessions.userName, name), exceptId === null ? undefined : sql`${sessions.id} <> ${exceptId}`));
  }
}
