import { randomBytes, type ScryptOptions, scrypt, timingSafeEqual } from 'node:crypto';
import { preparedPassword } from './password-rules.js';

/** Cost of one hash. N = 2^15, r = 8, p = 3 is one of OWASP's choices: 32 MiB and about 0.2 s of one core. */
export interface ScryptCost {
  N: number;
  r: number;
  p: number;
}

const HASH_BYTES = 32;
/** Hashes that are made at once, and wait at the most: each holds a thread of the pool and its memory. */
const AT_ONCE = 2;
const MOST_WAITING = 32;

/** Too many logins at the same moment. */
export class PasswordsBusyError extends Error {
  readonly code = 'SERVER_BUSY';
}

/** Hashes and checks passwords by scrypt (RFC 7914); a stored hash is `scrypt$N$r$p$salt$hash`. */
export class Passwords {
  #running = 0;
  readonly #waiting: (() => void)[] = [];
  /** Checked in place of the hash of a user that is not there: both take the same time. */
  readonly #nobody: Promise<string>;

  constructor(private readonly cost: ScryptCost) {
    this.#nobody = this.hash(randomBytes(24).toString('base64url'));
    this.#nobody.catch(() => undefined);
  }

  async hash(password: string): Promise<string> {
    const { N, r, p } = this.cost;
    const salt = randomBytes(16);
    const hash = await this.#derive(password, salt, this.cost);
    return `scrypt$${N}$${r}$${p}$${salt.toString('base64url')}$${hash.toString('base64url')}`;
  }

  /** Is it the password of this hash? Null: there is no such user, which takes as long. Throws PasswordsBusyError. */
  async verify(password: string, stored: string | null): Promise<boolean> {
    const parsed = parse(stored ?? (await this.#nobody));
    if (parsed === null) return false;
    const given = await this.#derive(password, parsed.salt, parsed.cost);
    return timingSafeEqual(given, parsed.hash) && stored !== null;
  }

  /** Was it hashed with other parameters than new ones are? */
  isOutdated(stored: string): boolean {
    const cost = parse(stored)?.cost;
    return cost?.N !== this.cost.N || cost.r !== this.cost.r || cost.p !== this.cost.p;
  }

  async #derive(password: string, salt: Buffer, cost: ScryptCost): Promise<Buffer> {
    if (this.#running >= AT_ONCE) {
      if (this.#waiting.length >= MOST_WAITING) throw new PasswordsBusyError('too many logins at once');
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else this.#running += 1;
    try {
      const options: ScryptOptions = { ...cost, maxmem: 256 * cost.N * cost.r };
      return await new Promise((resolve, reject) =>
        scrypt(preparedPassword(password), salt, HASH_BYTES, options, (error, key) =>
          error === null ? resolve(key) : reject(error),
        ),
      );
    } finally {
      // The place goes to the next in line, or is free.
      const next = this.#waiting.shift();
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }
}

function parse(stored: string): { cost: ScryptCost; salt: Buffer; hash: Buffer } | null {
  const match = /^scrypt\$(\d{1,8})\$(\d{1,3})\$(\d{1,3})\$([\w-]+)\$([\w-]+)$/.exec(stored);
  if (match === null) return null;
  const [N, r, p] = match.slice(1, 4).map(Number);
  const hash = Buffer.from(match[5], 'base64url');
  return hash.length === HASH_BYTES ? { cost: { N, r, p }, salt: Buffer.from(match[4], 'base64url'), hash } : null;
}
