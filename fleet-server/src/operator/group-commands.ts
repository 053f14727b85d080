import type { Command } from 'commander';
import type { CommandContext } from './context.js';
import { readDocument } from './document-file.js';
import { table } from './table.js';

/** `vigie group …` */
export function addGroupCommands(program: Command, { client, print }: CommandContext): void {
  const group = program.command('group').description('named selections of boards');
  group
    .command('list')
    .description('the one that counts first at the top')
    .action(async () => {
      const { items } = await client().get<{ items: { name: string; priority: number; selector: unknown }[] }>(
        '/groups',
      );
      const row = (one: (typeof items)[number]) => [one.name, String(one.priority), JSON.stringify(one.selector)];
      print({ items }, () => table(['GROUP', 'PRIORITY', 'SELECTOR'], items.map(row)));
    });
  group
    .command('set <name> <file>')
    .description('make or change a group: a file (YAML or JSON) with selector, description, priority')
    .action(async (name: string, file: string) => {
      const made = await client().put<{ name: string }>(
        `/groups/${encodeURIComponent(name)}`,
        await readDocument(file),
      );
      print(made, () => `${made.name}\n`);
    });
  group
    .command('remove <name>')
    .description('forget a group')
    .action(async (name: string) => {
      await client().delete(`/groups/${encodeURIComponent(name)}`);
      print({ name }, () => `${name} removed\n`);
    });
}
