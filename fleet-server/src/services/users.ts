import type { Database } from '../io/database/database.js';
import type { UserChange, UserRecord, UserRepository } from '../io/database/user-repository.js';
import type { Now } from '../ports.js';
import type { Role } from '../roles.js';
import { passwordFault } from './password-rules.js';
import type { Passwords } from './passwords.js';

type Refusal<Code extends string> = { ok: false; code: Code; detail: string };
export type UserResult<Code extends string> = { ok: true; user: UserRecord } | Refusal<Code>;

/** People who may log in. Every change ends the sessions that it takes something from. */
export class UserService {
  constructor(
    private readonly database: Database,
    private readonly users: UserRepository,
    private readonly passwords: Passwords,
    private readonly now: Now,
    /** Something that lets people in may have ended. */
    private readonly ended: () => void,
  ) {}

  list(after: string | null, limit: number): Promise<UserRecord[]> {
    return this.users.list(after, limit);
  }

  find(name: string): Promise<UserRecord | null> {
    return this.users.find(name);
  }

  async create(
    { name, role, password }: { name: string; role: Role; password: string },
    createdBy: string,
  ): Promise<UserResult<'PASSWORD_WEAK' | 'USER_EXISTS'>> {
    const fault = passwordFault(password, name);
    if (fault !== null) return { ok: false, code: 'PASSWORD_WEAK', detail: fault };
    const taken = {
      ok: false,
      code: 'USER_EXISTS',
      detail: `the user ${name} exists; change it, or take another name`,
    } as const;
    if ((await this.users.find(name)) !== null) return taken;
    const now = this.now();
    const passwordHash = await this.passwords.hash(password);
    const row = { name, role, passwordHash, createdAt: now, createdBy, passwordChangedAt: now };
    const [made] = await this.database.transaction([this.users.insertion(row)]);
    if (made.length === 0) return taken;
    const { passwordHash: _, ...user } = row;
    return { ok: true, user: { ...user, lastLoginAt: null, disabledAt: null } };
  }

  /** A new password or a disabled account ends all sessions of the user; a new role counts in them at once. */
  async change(
    name: string,
    { role, password, disabled }: { role?: Role; password?: string; disabled?: boolean },
  ): Promise<UserResult<'PASSWORD_WEAK' | 'USER_UNKNOWN'>> {
    const fault = password === undefined ? null : passwordFault(password, name);
    if (fault !== null) return { ok: false, code: 'PASSWORD_WEAK', detail: fault };
    const unknown = { ok: false, code: 'USER_UNKNOWN', detail: `no user is called ${name}` } as const;
    if ((await this.users.find(name)) === null) return unknown;
    const now = this.now();
    const change: UserChange = {
      ...(role === undefined ? {} : { role }),
      ...(disabled === undefined ? {} : { disabledAt: disabled ? now : null }),
      ...(password === undefined ? {} : { passwordHash: await this.passwords.hash(password), passwordChangedAt: now }),
    };
    const [changed] = await this.database.transaction([
      this.users.change(name, change),
      ...(password !== undefined || disabled === true ? [this.users.endingOfSessions(name)] : []),
    ]);
    this.ended();
    const user = changed.length === 0 ? null : await this.users.find(name);
    return user === null ? unknown : { ok: true, user };
  }

  /** One's own password; the other sessions of the user end. */
  async changeOwnPassword(
    name: string,
    sessionId: string,
    { current, password }: { current: string; password: string },
  ): Promise<{ ok: true } | Refusal<'PASSWORD_WEAK' | 'LOGIN_FAILED'>> {
    const stored = await this.users.passwordHash(name);
    const wrong = { ok: false, code: 'LOGIN_FAILED', detail: 'current: is not the present password' } as const;
    if (!(await this.passwords.verify(current, stored)) || stored === null) return wrong;
    const fault = passwordFault(password, name);
    if (fault !== null) return { ok: false, code: 'PASSWORD_WEAK', detail: fault };
    const to = { passwordHash: await this.passwords.hash(password), passwordChangedAt: this.now() };
    const [changed] = await this.database.transaction([
      this.users.passwordChange(name, stored, to),
      this.users.endingOfSessions(name, sessionId),
    ]);
    this.ended();
    return changed.length === 1 ? { ok: true } : wrong;
  }

  /** With all sessions. False: there is no such user. */
  async remove(name: string): Promise<boolean> {
    const [gone] = await this.database.transaction([this.users.removal(name)]);
    this.ended();
    return gone.length === 1;
  }
}
