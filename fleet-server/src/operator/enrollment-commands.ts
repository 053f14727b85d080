import type { Command } from 'commander';
import type { CommandContext } from './context.js';
import { table } from './table.js';

/** `vigie enrollment …` */
export function addEnrollmentCommands(program: Command, { client, print, misused }: CommandContext): void {
  const enrollment = program.command('enrollment').description('tokens by which boards come in');
  enrollment
    .command('create')
    .description('a token, shown once')
    .option('--uses <n>', 'boards that may come in by it', '1')
    .option('--hours <n>', 'how long it counts', '24')
    .option('--role <standard|lab>', 'what its boards are', 'standard')
    .option('--tags <tags...>', 'given to its boards')
    .option('--approval', 'its boards wait for an operator')
    .option('--note <text>', 'what it is for')
    .action(async ({ uses, hours, ...rest }: Record<string, string>) => {
      if (!/^[1-9]\d{0,4}$/.test(uses)) misused('USES_INVALID', `--uses ${uses}: use 1..10000`);
      if (!/^[1-9]\d{0,3}$/.test(hours)) misused('HOURS_INVALID', `--hours ${hours}: use 1..2160`);
      const body = { uses: Number(uses), expiresInSeconds: Number(hours) * 3600, ...rest };
      const made = await client().post<{ token: string }>('/enrollment-tokens', body);
      print(made, () => `${made.token}\n`);
    });
  enrollment
    .command('list')
    .description('newest first; never the secrets')
    .action(async () => {
      type Token = {
        id: string;
        role: string;
        used: number;
        uses: number;
        expiresAt: string;
        revokedAt: string | null;
        note: string;
      };
      const { items } = await client().get<{ items: Token[] }>('/enrollment-tokens');
      const row = (one: Token) => [
        ...[
          one.id,
          one.role,
          `${one.used} of ${one.uses}`,
          one.revokedAt === null ? one.expiresAt : 'revoked',
          one.note,
        ],
      ];
      print({ items }, () => table(['TOKEN', 'ROLE', 'USED', 'UNTIL', 'NOTE'], items.map(row)));
    });
  enrollment
    .command('revoke <id>')
    .description('no board comes in by it any more')
    .action(async (id: string) => {
      await client().delete(`/enrollment-tokens/${encodeURIComponent(id)}`);
      print({ id }, () => `${id} revoked\n`);
    });
}
