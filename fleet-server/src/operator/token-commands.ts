import type { Command } from 'commander';
import { allPages, minute, ROLE_HELP } from './access-lists.js';
import type { CommandContext } from './context.js';
import { table } from './table.js';

interface Token {
  id: string;
  name: string;
  role: string;
  createdAt: string;
  createdBy: string | null;
  expiresAt: string | null;
  usedAt: string | null;
  revokedAt: string | null;
}

interface CreateOptions {
  role?: string;
  name?: string;
  days?: string;
}

/** `vigie token …` */
export function addTokenCommands(program: Command, { client, print, misused }: CommandContext): void {
  const token = program.command('token').description('enrolment tokens of boards, and API tokens');
  token
    .command('create')
    .description(
      'a single-use enrolment token for one board, 24 hours; with the --role of an operator an API token, shown once',
    )
    .option('--role <role>', `lab: an enrolment token of a lab board (docs/gates.md); of an API token: ${ROLE_HELP}`)
    .option('--name <name>', 'of an API token: whose it is, or what for')
    .option('--days <n>', 'life of an API token in days (default 365); 0: without an end')
    .action(async ({ role, name, days }: CreateOptions) => {
      // Roles of boards and of operators have no name in common.
      if (role === undefined || role === 'lab' || role === 'standard') {
        if (name !== undefined || days !== undefined)
          misused('ROLE_MISSING', '--name and --days are of API tokens; say which --role, or leave them out');
        const body = role === undefined ? undefined : { role };
        const made = await client().post<{ token: string; expiresAt: string }>('/enrollment-tokens', body);
        return print(made, () => `${made.token}\n`);
      }
      if (name === undefined) return misused('NAME_MISSING', 'give the API token a --name, such as "ci of the models"');
      if (days !== undefined && !/^\d{1,4}$/.test(days)) return misused('DAYS_INVALID', `--days ${days}: use 0..3650`);
      const life = days === undefined ? {} : { days: days === '0' ? null : Number(days) };
      const made = await client().post<Token & { token: string }>('/tokens', { name, role, ...life });
      print(made, () => `${made.token}\n`);
    });
  token
    .command('list')
    .description('API tokens, newest first')
    .action(async () => {
      const items = await allPages<Token>(client(), '/tokens', new URLSearchParams({ limit: '200' }), 10_000);
      const row = (one: Token) => [
        ...[one.id, one.name, one.role, one.revokedAt === null ? 'active' : 'revoked', minute(one.usedAt)],
        ...[one.expiresAt === null ? 'never' : minute(one.expiresAt), one.createdBy ?? 'console'],
      ];
      const head = ['TOKEN', 'NAME', 'ROLE', 'STATE', 'LAST USED', 'EXPIRES', 'MADE BY'];
      print({ items }, () => table(head, items.map(row)));
    });
  token
    .command('revoke <id>')
    .description('an API token counts no more')
    .action(async (id: string) => {
      const gone = await client().delete<Token>(`/tokens/${encodeURIComponent(id)}`);
      print(gone, () => `${gone.name} revoked ${minute(gone.revokedAt)}\n`);
    });
}
