import type { Database } from '../io/database/database.js';
import type { TokenRecord, TokenRepository } from '../io/database/token-repository.js';
import type { Now } from '../ports.js';
import type { Role } from '../roles.js';
import { hashSecret, newSecret } from '../secrets.js';

const DAY_MS = 86_400_000;
/** Tokens that count no more are shown for so long. */
const KEPT_MS = 90 * DAY_MS;

/** Tokens of jobs and programs. */
export class ApiTokenService {
  constructor(
    private readonly database: Database,
    private readonly tokens: TokenRepository,
    private readonly now: Now,
    /** A token ended. */
    private readonly ended: () => void,
  ) {}

  list(after: [string, string] | null, limit: number): Promise<TokenRecord[]> {
    return this.tokens.list(after, limit);
  }

  find(id: string): Promise<TokenRecord | null> {
    return this.tokens.find(id);
  }

  /** The secret is in this answer and nowhere else. `days`: null, without an end. */
  async create(
    { id, name, role, days }: { id: string; name: string; role: Role; days: number | null },
    createdBy: string,
  ): Promise<{ secret: string; token: TokenRecord }> {
    const secret = newSecret('api');
    const now = this.now();
    const expiresAt = days === null ? null : new Date(now.getTime() + days * DAY_MS);
    const row = { id, name, role, createdAt: now, createdBy, expiresAt };
    await this.database.transaction([this.tokens.insertion({ ...row, hash: hashSecret(secret) })]);
    return { secret, token: { ...row, usedAt: null, revokedAt: null } };
  }

  /** Counts no more from now on. Again is no error. Null: there is no such token. */
  async revoke(id: string): Promise<TokenRecord | null> {
    if ((await this.tokens.find(id)) === null) return null;
    await this.database.transaction([this.tokens.revocation(id, this.now())]);
    this.ended();
    return this.tokens.find(id);
  }

  async dropDead(): Promise<void> {
    await this.tokens.dropDead(new Date(this.now().getTime() - KEPT_MS));
  }
}
