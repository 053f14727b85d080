import { randomBytes } from 'node:crypto';
import { text as streamText } from 'node:stream/consumers';
import type { Command } from 'commander';
import { allPages, minute, ROLE_HELP } from './access-lists.js';
import type { CommandContext } from './context.js';
import { table } from './table.js';

interface User {
  name: string;
  role: string;
  createdAt: string;
  lastLoginAt: string | null;
  disabledAt: string | null;
}

interface PasswordOptions {
  passwordStdin?: boolean;
}

const STDIN = [
  '--password-stdin',
  'read the password from stdin; without it a new one is made and printed once',
] as const;

/** `vigie user …` */
export function addUserCommands(program: Command, { client, print, misused }: CommandContext): void {
  const path = (name: string) => `/users/${encodeURIComponent(name)}`;
  const takePassword = async ({ passwordStdin }: PasswordOptions) => {
    if (!passwordStdin) return { password: randomBytes(18).toString('base64url'), made: true };
    const password = (await streamText(process.stdin)).replace(/\r?\n$/, '');
    return password === '' ? misused('PASSWORD_MISSING', 'stdin held no password') : { password, made: false };
  };
  const user = program.command('user').description('people who log in at the dashboard (admins only)');
  user
    .command('list')
    .description('by name')
    .action(async () => {
      const items = await allPages<User>(client(), '/users', new URLSearchParams({ limit: '200' }), 10_000);
      const row = (one: User) => [
        ...[one.name, one.role, one.disabledAt === null ? 'active' : 'disabled', minute(one.lastLoginAt)],
        minute(one.createdAt),
      ];
      print({ items }, () => table(['USER', 'ROLE', 'STATE', 'LAST LOGIN', 'CREATED'], items.map(row)));
    });
  user
    .command('add <name>')
    .description('let somebody log in')
    .requiredOption('--role <role>', ROLE_HELP)
    .option(...STDIN)
    .action(async (name: string, options: PasswordOptions & { role: string }) => {
      const { password, made } = await takePassword(options);
      const added = await client().post<User>('/users', { name, role: options.role, password });
      const shown = made ? { ...added, password } : added;
      print(shown, () => `${added.name} ${added.role}\n${made ? `password ${password}\n` : ''}`);
    });
  user
    .command('role <name> <role>')
    .description(`another role (${ROLE_HELP}); counts at once`)
    .action(async (name: string, role: string) => {
      const changed = await client().patch<User>(path(name), { role });
      print(changed, () => `${changed.name} ${changed.role}\n`);
    });
  user
    .command('password <name>')
    .description('another password; ends all sessions of the user')
    .option(...STDIN)
    .action(async (name: string, options: PasswordOptions) => {
      const { password, made } = await takePassword(options);
      const changed = await client().patch<User>(path(name), { password });
      print(made ? { ...changed, password } : changed, () => (made ? `password ${password}\n` : 'changed\n'));
    });
  for (const [word, disabled] of [
    ['disable', true],
    ['enable', false],
  ] as const) {
    user
      .command(`${word} <name>`)
      .description(disabled ? 'no more logins; ends all sessions' : 'logins again')
      .action(async (name: string) => {
        const changed = await client().patch<User>(path(name), { disabled });
        print(changed, () => `${changed.name} ${changed.disabledAt === null ? 'active' : 'disabled'}\n`);
      });
  }
  user
    .command('remove <name>')
    .description('remove a user with all sessions')
    .action(async (name: string) => {
      await client().delete(path(name));
      print({ removed: name }, () => `${name} removed\n`);
    });
}
