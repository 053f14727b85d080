import type { Event } from '@vigie/protocol';
import type { Command } from 'commander';
import { allPages } from './access-lists.js';
import type { CommandContext } from './context.js';
import { table } from './table.js';

/** `vigie event …` */
export function addEventCommands(program: Command, { client, print, misused }: CommandContext): void {
  const event = program.command('event').description('what boards saw');
  event
    .command('list')
    .description('newest first')
    .option('--device <id>', 'of one board')
    .option('--label <name>', 'of this label')
    .option('--rule <name>', 'by this rule')
    .option('--type <start|update|end>', 'messages of this kind')
    .option('--from <time>', 'RFC 3339, such as 2026-11-21T07:00:00Z')
    .option('--to <time>', 'likewise')
    .option('--limit <n>', 'at most so many', '50')
    .action(async ({ limit, ...filter }: Record<string, string>) => {
      if (!/^[1-9]\d{0,5}$/.test(limit)) misused('LIMIT_INVALID', `--limit ${limit}: use 1..999999`);
      const query = new URLSearchParams({ ...filter, limit: String(Math.min(Number(limit), 1000)) });
      const items = await allPages<Event & { deviceId: string }>(client(), '/events', query, Number(limit));
      const row = (one: Event & { deviceId: string }) => [
        one.at,
        one.deviceId,
        one.type,
        one.label,
        one.score.toFixed(2),
        one.id,
      ];
      print({ items }, () => table(['AT', 'DEVICE', 'TYPE', 'LABEL', 'SCORE', 'EVENT'], items.map(row)));
    });
}
