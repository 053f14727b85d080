import { eq, lt } from 'drizzle-orm';
import type { Database } from './database.js';
import { apiTokens } from './schema/access.js';
import { enrollmentTokens } from './schema/foundation.js';

/** Hashes of operators' and enrolment tokens. */
export class TokenRepository {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async addApiToken(hash: string, name: string, createdAt: Date): Promise<void> {
    await this.#database.drizzle.insert(apiTokens).values({ hash, name, createdAt });
  }

  /** Name of the operator's token with this hash; null when there is none. */
  async apiTokenName(hash: string): Promise<string | null> {
    const rows = await this.#database.drizzle
      .select({ name: apiTokens.name })
      .from(apiTokens)
      .where(eq(apiTokens.hash, hash));
    return rows[0]?.name ?? null;
  }

  async addEnrollmentToken(hash: string, createdAt: Date, expiresAt: Date): Promise<void> {
    await this.#database.drizzle.insert(enrollmentTokens).values({ hash, createdAt, expiresAt });
  }

  /** Forgets tokens that expired before `before`. */
  async dropEnrollmentTokens(before: Date): Promise<void> {
    await this.#database.drizzle.delete(enrollmentTokens).where(lt(enrollmentTokens.expiresAt, before));
  }
}
