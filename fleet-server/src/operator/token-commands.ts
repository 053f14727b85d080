import type { Command } from 'commander';
import type { CommandContext } from './context.js';

/** `vigie token …` */
export function addTokenCommands(program: Command, { client, print }: CommandContext): void {
  const token = program.command('token').description('enrolment tokens');
  token
    .command('create')
    .description('a single-use token for one board, 24 hours')
    .option('--role <role>', 'lab: the board benchmarks releases that no gate has certified (docs/gates.md)')
    .action(async ({ role }: { role?: string }) => {
      const body = role === undefined ? {} : { role };
      const made = await client().post<{ token: string; expiresAt: string }>('/enrollment-tokens', body);
      print(made, () => `${made.token}\n`);
    });
}
