import { and, desc, eq, gt, isNull, lt, or, sql } from 'drizzle-orm';
import type { DeviceRole } from '../../devices/selector.js';
import type { Role } from '../../roles.js';
import { enrollmentTokenId } from '../../secrets.js';
import type { Database, Query } from './database.js';
import { apiTokens } from './schema/access.js';
import { enrollmentTokens } from './schema/foundation.js';

/** An API token as operators see it. */
export interface TokenRecord {
  id: string;
  name: string;
  role: Role;
  createdAt: Date;
  createdBy: string | null;
  expiresAt: Date | null;
  usedAt: Date | null;
  revokedAt: Date | null;
}

export type NewToken = Pick<TokenRecord, 'id' | 'name' | 'role' | 'createdAt' | 'createdBy' | 'expiresAt'> & {
  hash: string;
};

const RECORD = {
  id: apiTokens.id,
  name: apiTokens.name,
  role: apiTokens.role,
  createdAt: apiTokens.createdAt,
  createdBy: apiTokens.createdBy,
  expiresAt: apiTokens.expiresAt,
  usedAt: apiTokens.usedAt,
  revokedAt: apiTokens.revokedAt,
};

/** What an enrolment token makes of the boards that come in by it. */
export interface EnrollmentTokenOptions {
  /** How many boards may come in by it. */
  uses: number;
  role: DeviceRole;
  tags: string[];
  /** They have to be approved. */
  approval: boolean;
  createdBy: string;
  note: string;
}

export interface EnrollmentTokenRecord extends EnrollmentTokenOptions {
  id: string;
  createdAt: Date;
  expiresAt: Date;
  used: number;
  /** The last use, and the board. */
  usedAt: Date | null;
  usedBy: string | null;
  revokedAt: Date | null;
}

const MOST_SHOWN = 1000;

/** Hashes of API tokens and enrolment tokens. */
export class TokenRepository {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** A token of whoever sits at the server's console: role admin, without an end. */
  async addApiToken(tokenHash: string, name: string, createdAt: Date): Promise<void> {
    await this.#database.drizzle.insert(apiTokens).values({ hash: tokenHash, name, createdAt });
  }

  insertion(token: NewToken): Query {
    return this.#database.drizzle.insert(apiTokens).values(token);
  }

  /** The token with this hash, if it counts now. */
  async findLive(tokenHash: string, now: Date): Promise<TokenRecord | null> {
    const rows = await this.#database.drizzle
      .select(RECORD)
      .from(apiTokens)
      .where(
        and(
          eq(apiTokens.hash, tokenHash),
          isNull(apiTokens.revokedAt),
          or(isNull(apiTokens.expiresAt), gt(apiTokens.expiresAt, now)),
        ),
      );
    return rows[0] ?? null;
  }

  async find(id: string): Promise<TokenRecord | null> {
    const rows = await this.#database.drizzle.select(RECORD).from(apiTokens).where(eq(apiTokens.id, id));
    return rows[0] ?? null;
  }

  /** Newest first, behind the one with this key. */
  async list(after: [createdAt: string, id: string] | null, limit: number): Promise<TokenRecord[]> {
    return this.#database.drizzle
      .select(RECORD)
      .from(apiTokens)
      .where(
        after === null
          ? undefined
          : sql`(${apiTokens.createdAt}, ${apiTokens.id}) < (${after[0]}::timestamptz, ${after[1]}::text)`,
      )
      .orderBy(desc(apiTokens.createdAt), desc(apiTokens.id))
      .limit(limit);
  }

  async used(id: string, at: Date): Promise<void> {
    await this.#database.drizzle.update(apiTokens).set({ usedAt: at }).where(eq(apiTokens.id, id));
  }

  /** One that was revoked before keeps its time. */
  revocation(id: string, at: Date): Query {
    return this.#database.drizzle
      .update(apiTokens)
      .set({ revokedAt: at })
      .where(and(eq(apiTokens.id, id), isNull(apiTokens.revokedAt)))
      .returning({ id: apiTokens.id });
  }

  /** Forgets tokens that count no more since before `before`. */
  async dropDead(before: Date): Promise<void> {
    await this.#database.drizzle
      .delete(apiTokens)
      .where(or(lt(apiTokens.revokedAt, before), lt(apiTokens.expiresAt, before)));
  }

  async addEnrollmentToken(
    tokenHash: string,
    createdAt: Date,
    expiresAt: Date,
    options: Partial<EnrollmentTokenOptions> = {},
  ): Promise<void> {
    await this.#database.drizzle.insert(enrollmentTokens).values({ hash: tokenHash, createdAt, expiresAt, ...options });
  }

  /** Newest first; the secrets are not known here, an id is the beginning of the hash. */
  async enrollmentTokens(): Promise<EnrollmentTokenRecord[]> {
    const rows = await this.#database.drizzle
      .select()
      .from(enrollmentTokens)
      .orderBy(desc(enrollmentTokens.createdAt), enrollmentTokens.hash)
      .limit(MOST_SHOWN);
    return rows.map(({ hash, ...row }) => ({ ...row, id: enrollmentTokenId(hash) }));
  }

  /** False: there is no such token. */
  async revokeEnrollmentToken(id: string, at: Date): Promise<boolean> {
    const rows = await this.#database.drizzle
      .update(enrollmentTokens)
      .set({ revokedAt: sql`coalesce(${enrollmentTokens.revokedAt}, ${at.toISOString()}::timestamptz)` })
      .where(sql`left(${enrollmentTokens.hash}, ${id.length}) = ${id}`)
      .returning({ hash: enrollmentTokens.hash });
    return rows.length > 0;
  }

  /** Forgets tokens that expired before `before`. */
  async dropEnrollmentTokens(before: Date): Promise<void> {
    await this.#database.drizzle.delete(enrollmentTokens).where(lt(enrollmentTokens.expiresAt, before));
  }
}
