import type { Event } from '@vigie/protocol';
import type { Command } from 'commander';
import type { CommandContext } from './context.js';
import { table } from './table.js';

/** `vigie event …` */
export function addEventCommands(program: Command, { client, print }: CommandContext): void {
  const event = program.command('event').description('what boards saw');
  event
    .command('list')
    .description('newest first')
    .option('--device <id>', 'of one board')
    .option('--limit <n>', 'at most so many', '50')
    .action(async ({ device: id, limit }: { device?: string; limit: string }) => {
      const query = new URLSearchParams({ limit, ...(id === undefined ? {} : { device: id }) });
      const { items } = await client().get<{ items: (Event & { deviceId: string })[] }>(`/events?${query}`);
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
