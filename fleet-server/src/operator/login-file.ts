import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { type Static, Type } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';
import { UsageError } from './api-error.js';

/** What `vigie login` keeps: one server, the token for it, and the authority that was pinned. */
const Login = Type.Object(
  {
    server: Type.String({ minLength: 1, maxLength: 500 }),
    token: Type.String({ minLength: 16, maxLength: 200 }),
    authority: Type.Optional(Type.String({ maxLength: 20_000 })),
  },
  { additionalProperties: false },
);
export type Login = Static<typeof Login>;

/** `VIGIE_CLI_CONFIG`, else `vigie/cli.json` in the user's configuration folder (XDG Base Directory). */
export function loginPath(env: NodeJS.ProcessEnv): string {
  return env.VIGIE_CLI_CONFIG || join(env.XDG_CONFIG_HOME || join(homedir(), '.config'), 'vigie', 'cli.json');
}

/** Null: nobody logged in. Throws UsageError for a file that is damaged. */
export function readLogin(path: string): Login | null {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    throw new UsageError('LOGIN_UNREADABLE', `${path}: cannot be read (${code}); correct its rights or log in again`);
  }
  try {
    const login: unknown = JSON.parse(text);
    if (Value.Check(Login, login)) return login;
  } catch {
    // Said below.
  }
  throw new UsageError('LOGIN_INVALID', `${path}: is damaged; remove it and run \`vigie login\` again`);
}

/** Readable by its owner only; replaced in one step. */
export function writeLogin(path: string, login: Login): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const temporary = `${path}.${process.pid}.tmp`;
  rmSync(temporary, { force: true });
  writeFileSync(temporary, `${JSON.stringify(login, null, 2)}\n`, { mode: 0o600, flag: 'wx' });
  renameSync(temporary, path);
}

export function dropLogin(path: string): boolean {
  const present = readLogin(path) !== null;
  rmSync(path, { force: true });
  return present;
}
