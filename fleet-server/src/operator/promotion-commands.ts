import { type Command, Option } from 'commander';
import type { CommandContext } from './context.js';
import { parseReleaseName } from './release-name.js';
import { printable, table } from './table.js';

interface Promotion {
  id: number;
  at: string;
  name: string;
  version: string;
  alias: string;
  actor: string;
  reason: string;
  compared: { name: string; version: string }[];
  missingLabels: string[];
}

interface PromoteOptions {
  as: string;
  reason: string;
  comparedWith?: string[];
  overrideLabels?: string;
}

const describe = (one: Promotion) =>
  `${one.name}@${one.version} is ${one.alias}: ${one.reason} (${one.actor}, ${one.at})`;

/** `vigie release promote` and `vigie release promotions`: the written decisions. */
export function addPromotionCommands(release: Command, { client, print }: CommandContext): void {
  release
    .command('promote <release>')
    .description('decide that a release (name@version) is the champion or the candidate of its model')
    .addOption(new Option('--as <alias>', 'what it becomes').choices(['champion', 'candidate']).default('champion'))
    .requiredOption('--reason <text>', 'why; it is kept with the release')
    .option('--compared-with <release...>', 'releases it was weighed against; the present champion always is')
    .option('--override-labels <reason>', 'also where boards need labels that it lacks')
    .action(async (target: string, { as, reason, comparedWith, overrideLabels }: PromoteOptions) => {
      const made = await client().post<Promotion>('/promotions', {
        ...{ ...parseReleaseName(target), alias: as, reason },
        ...(comparedWith === undefined ? {} : { compared: comparedWith.map(parseReleaseName) }),
        ...(overrideLabels === undefined ? {} : { overrideLabels: { reason: overrideLabels } }),
      });
      print(made, () => `${printable(describe(made))}\n`);
    });
  release
    .command('promotions')
    .description('the newest decisions about champions and candidates')
    .option('--name <model>', 'of one model')
    .option('--limit <n>', 'at most so many', '50')
    .action(async ({ name, limit }: { name?: string; limit: string }) => {
      const query = new URLSearchParams({ limit, ...(name === undefined ? {} : { name }) });
      const { items } = await client().get<{ items: Promotion[] }>(`/promotions?${query}`);
      const row = (one: Promotion) => [
        ...[one.at, `${one.name}@${one.version}`, one.alias, one.actor],
        one.compared.map(({ version }) => version).join(' '),
        one.reason,
      ];
      print({ items }, () => table(['AT', 'RELEASE', 'ALIAS', 'BY', 'COMPARED', 'REASON'], items.map(row)));
    });
}
