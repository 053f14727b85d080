import { eq, lt, sql } from 'drizzle-orm';
import type { Database } from './database.js';
import { idempotencyKeys } from './schema/access.js';

export interface KeyRecord {
  request: string;
  status: number | null;
  answer: string | null;
}

/** Idempotency keys and the answers that were given under them. */
export class IdempotencyRepository {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /**
   * Takes a key that is free, expired, or held since before `abandonedBefore` by a request that never ended (its process
   * died). Returns whether it was taken.
   */
  async claim(key: string, request: string, now: Date, expiresAt: Date, abandonedBefore: Date): Promise<boolean> {
    const at = now.toISOString();
    const rows = await this.#database.drizzle.execute(sql`
      insert into idempotency_keys as k (key, request, started_at, expires_at)
      values (${key}, ${request}, ${at}::timestamptz, ${expiresAt.toISOString()}::timestamptz)
      on conflict (key) do update set request = excluded.request, started_at = excluded.started_at,
        expires_at = excluded.expires_at, status = null, answer = null
      where k.expires_at <= ${at}::timestamptz
        or (k.status is null and k.request = excluded.request and k.started_at < ${abandonedBefore.toISOString()}::timestamptz)
      returning key`);
    return (rows as unknown[]).length === 1;
  }

  async find(key: string): Promise<KeyRecord | null> {
    const { request, status, answer } = idempotencyKeys;
    const rows = await this.#database.drizzle
      .select({ request, status, answer })
      .from(idempotencyKeys)
      .where(eq(idempotencyKeys.key, key));
    return rows[0] ?? null;
  }

  async finish(key: string, status: number, answer: string): Promise<void> {
    await this.#database.drizzle.update(idempotencyKeys).set({ status, answer }).where(eq(idempotencyKeys.key, key));
  }

  /** The request failed by the server's fault: it may be tried again. */
  async free(key: string): Promise<void> {
    await this.#database.drizzle.delete(idempotencyKeys).where(eq(idempotencyKeys.key, key));
  }

  async dropExpired(now: Date): Promise<void> {
    await this.#database.drizzle.delete(idempotencyKeys).where(lt(idempotencyKeys.expiresAt, now));
  }
}
