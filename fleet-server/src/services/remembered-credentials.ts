import type { Credential } from '../roles.js';

/** How long a token that was looked up is believed, ms. */
const BELIEVED_MS = 1000;

/**
 * Tokens that have just been looked up: a page or a program asks many times a second, and each lookup waits for what the
 * database is doing. For a process that has the database to itself: `forget` whenever a token may have ended.
 */
export class RememberedCredentials {
  #known = new Map<string, Credential>();
  #since = Number.NEGATIVE_INFINITY;

  /** `now`: what tokens expire by. `clock`: monotonic, ms. */
  constructor(
    private readonly find: (secret: string) => Promise<Credential | null>,
    private readonly now: () => Date,
    private readonly clock: () => number,
  ) {}

  async get(secret: string): Promise<Credential | null> {
    if (this.clock() - this.#since >= BELIEVED_MS) this.forget();
    const known = this.#known.get(secret);
    if (known !== undefined && (known.expiresAt === null || known.expiresAt > this.now())) return known;
    // What is found is remembered only if nothing ended since the search began: a map that was forgotten meanwhile is not read again.
    const map = this.#known;
    const found = await this.find(secret);
    if (found !== null) map.set(secret, found);
    return found;
  }

  forget(): void {
    this.#known = new Map();
    this.#since = this.clock();
  }
}
