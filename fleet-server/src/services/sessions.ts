import { createHmac, randomUUID } from 'node:crypto';
import type { AuditRepository } from '../io/database/audit-repository.js';
import type { Database } from '../io/database/database.js';
import type { SessionRecord, SessionRepository } from '../io/database/session-repository.js';
import type { TokenRepository } from '../io/database/token-repository.js';
import type { UserRepository } from '../io/database/user-repository.js';
import type { Now } from '../ports.js';
import type { Credential } from '../roles.js';
import { hashSecret, newSecret } from '../secrets.js';
import { type AuditEntry, storable } from './audit-entry.js';
import type { Passwords } from './passwords.js';
import { networkOf } from './rate-limit.js';

const MINUTE_MS = 60_000;
/** Failures of all accounts together from one network, per lock: more than a room of people mistypes. */
const NETWORK_FAILURES = 50;
/** Failures are forgotten after so long. */
const WINDOW_MS = 15 * MINUTE_MS;

export interface SessionRules {
  idleMs: number;
  absoluteMs: number;
  loginFailures: number;
  lockMs: number;
}

export interface LoginRequest {
  user: string;
  password: string;
  address: string;
  userAgent: string;
}

export type LoginResult =
  | { ok: true; secret: string; session: Credential }
  | { ok: false; code: 'LOGIN_FAILED'; detail: string }
  | { ok: false; code: 'TOO_MANY_ATTEMPTS'; detail: string; retryAfterSeconds: number };

interface SessionParts {
  database: Database;
  sessions: SessionRepository;
  tokens: TokenRepository;
  users: UserRepository;
  audit: AuditRepository;
  passwords: Passwords;
  /** A login ended. */
  ended: () => void;
}

/** Who somebody is: by a token, or by a login and the cookie that it gave. */
export class SessionService {
  constructor(
    private readonly parts: SessionParts,
    private readonly rules: SessionRules,
    private readonly now: Now,
  ) {}

  async byToken(secret: string): Promise<Credential | null> {
    const now = this.now();
    const token = await this.parts.tokens.findLive(hashSecret(secret), now);
    if (token === null) return null;
    if (isStale(token.usedAt, now)) await this.parts.tokens.used(token.id, now);
    const actor = { name: token.name, role: token.role, person: token.createdBy ?? token.name };
    return { kind: 'token', id: `token:${token.id}`, actor, expiresAt: token.expiresAt, secret };
  }

  async bySession(secret: string): Promise<Credential | null> {
    const now = this.now();
    const session = await this.parts.sessions.findLive(hashSecret(secret), now, this.#idleSince(now));
    if (session === null) return null;
    if (isStale(session.seenAt, now)) await this.parts.sessions.seen(session.id, now);
    return credentialOf(session, secret);
  }

  /** Does it still count? Asking is no use of it: an open stream does not keep a login alive. */
  async counts({ kind, secret }: Credential): Promise<boolean> {
    const { tokens, sessions } = this.parts;
    const now = this.now();
    const hash = hashSecret(secret);
    const found = kind === 'token' ? tokens.findLive(hash, now) : sessions.findLive(hash, now, this.#idleSince(now));
    return (await found) !== null;
  }

  /**
   * Checks a password and opens a session. Unknown, disabled and locked accounts answer as a wrong password does, in the same
   * time; a lock counts for one account from one network. `entry`: makes the line of the audit log. Throws PasswordsBusyError.
   */
  async login(request: LoginRequest, entry: (outcome: Partial<AuditEntry>) => AuditEntry): Promise<LoginResult> {
    const { database, sessions, users, audit, passwords } = this.parts;
    const { idleMs, absoluteMs, loginFailures, lockMs } = this.rules;
    const now = this.now();
    const user = request.user.toLowerCase();
    const network = networkOf(request.address);
    const account = { key: hashSecret(`account\n${user}\n${network}`), most: loginFailures };
    const crowd = { key: hashSecret(`network\n${network}`), most: NETWORK_FAILURES };
    for (const rule of [account, crowd]) {
      if (await sessions.attempt(rule, now, WINDOW_MS, lockMs)) continue;
      const until = (await sessions.lockedUntil(rule.key)) ?? now;
      const retryAfterSeconds = Math.max(1, Math.ceil((until.getTime() - now.getTime()) / 1000));
      const detail = `too many failed logins; try again in ${retryAfterSeconds} s`;
      return { ok: false, code: 'TOO_MANY_ATTEMPTS', detail, retryAfterSeconds };
    }
    const stored = await users.passwordHash(user);
    const refused = { ok: false, code: 'LOGIN_FAILED', detail: 'user or password is wrong' } as const;
    if (!(await passwords.verify(request.password, stored)) || stored === null) {
      await audit.append(entry({ actor: 'anonymous', subject: storable(user, 64), outcome: 'refused', status: 401 }));
      return refused;
    }
    const secret = newSecret('session');
    const id = randomUUID();
    const session = {
      ...{ hash: hashSecret(secret), id, userName: user, createdAt: now },
      expiresAt: new Date(now.getTime() + absoluteMs),
      ...{ address: request.address, userAgent: storable(request.userAgent, 200) },
    };
    const [opened] = await database.transaction([
      sessions.insertion(session, stored),
      users.loggedIn(user, now),
      sessions.forgetting(account.key),
      sessions.forgiving(crowd),
      audit.insertion(
        entry({ actor: user, credential: `session:${id}`, subject: user, outcome: 'done', status: 200 }),
        sessions.isOpen(id),
      ),
    ]);
    // Its password or its right to log in went away at this very moment.
    if (opened.length === 0) return refused;
    if (passwords.isOutdated(stored)) await users.rehash(user, stored, await passwords.hash(request.password));
    const found = await sessions.findLive(session.hash, now, new Date(now.getTime() - idleMs));
    return found === null ? refused : { ok: true, secret, session: credentialOf(found, secret) };
  }

  /** Live sessions, newest first; of one user or of all. */
  async list(user: string | null, after: [string, string] | null, limit: number): Promise<SessionRecord[]> {
    const now = this.now();
    return this.parts.sessions.list(user, { now, idleSince: this.#idleSince(now) }, after, limit);
  }

  async find(id: string): Promise<SessionRecord | null> {
    return this.parts.sessions.find(id);
  }

  /** Ends a session. False: there is none. */
  async end(id: string): Promise<boolean> {
    const { database, sessions, ended } = this.parts;
    const [gone] = await database.transaction([sessions.removal(id)]);
    ended();
    return gone.length === 1;
  }

  async dropEnded(): Promise<void> {
    const now = this.now();
    await this.parts.sessions.dropEnded(now, this.#idleSince(now), new Date(now.getTime() - 24 * 60 * MINUTE_MS));
  }

  #idleSince(now: Date): Date {
    return new Date(now.getTime() - this.rules.idleMs);
  }
}

/** What a page must send back in `x-vigie-csrf` with every change: known to who can read our answers, not to who only has the cookie sent. */
export function csrfToken(sessionSecret: string): string {
  return createHmac('sha256', sessionSecret).update('vigie csrf').digest('base64url');
}

function credentialOf({ id, user, role, expiresAt }: SessionRecord, secret: string): Credential {
  return { kind: 'session', id: `session:${id}`, actor: { name: user, role, person: user }, expiresAt, secret };
}

/** Uses are noted to the minute: a write per request would cost more than it tells. */
function isStale(at: Date | null, now: Date): boolean {
  return at === null || Math.abs(now.getTime() - at.getTime()) >= MINUTE_MS;
}
