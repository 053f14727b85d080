import type { Command } from 'commander';
import { allPages, minute } from './access-lists.js';
import type { CommandContext } from './context.js';
import { table } from './table.js';

interface Session {
  id: string;
  user: string;
  role: string;
  createdAt: string;
  seenAt: string;
  expiresAt: string;
  address: string;
  userAgent: string;
}

/** `vigie session …` */
export function addSessionCommands(program: Command, { client, print }: CommandContext): void {
  const session = program.command('session').description('logins at the dashboard');
  session
    .command('list')
    .description('live ones, newest first; of all users for admins')
    .action(async () => {
      const items = await allPages<Session>(client(), '/sessions', new URLSearchParams({ limit: '200' }), 10_000);
      const row = (one: Session) => [
        ...[one.id, one.user, one.role, minute(one.seenAt), minute(one.expiresAt), one.address],
        one.userAgent.slice(0, 40),
      ];
      const head = ['SESSION', 'USER', 'ROLE', 'LAST USED', 'ENDS', 'ADDRESS', 'BROWSER'];
      print({ items }, () => table(head, items.map(row)));
    });
  session
    .command('end <id>')
    .description('log somebody out')
    .action(async (id: string) => {
      await client().delete(`/sessions/${encodeURIComponent(id)}`);
      print({ ended: id }, () => `${id} ended\n`);
    });
  session
    .command('whoami')
    .description('whose token this is, and what it may do')
    .action(async () => {
      const me = await client().get<{ name: string; role: string; kind: string; expiresAt: string | null }>('/session');
      print(
        me,
        () =>
          `${me.name} ${me.role} (${me.kind}, ${me.expiresAt === null ? 'no end' : `until ${minute(me.expiresAt)}`})\n`,
      );
    });
}
