import type { Command } from 'commander';
import type { CommandContext } from './context.js';
import { releaseLabel } from './release-name.js';
import { table } from './table.js';

interface Release {
  name: string;
  version: string;
  digest: string;
  precision: string;
  bytes: number;
  state: string;
  certifiedBy: string | null;
}

/** `vigie release …` */
export function addReleaseCommands(program: Command, { client, print }: CommandContext): void {
  const release = program.command('release').description('model releases');
  release
    .command('list')
    .description('all releases, newest first')
    .action(async () => {
      const { items } = await client().get<{ items: Release[] }>('/releases');
      const row = (one: Release) => [
        releaseLabel(one),
        one.precision,
        String(one.bytes),
        one.state,
        one.certifiedBy ?? '-',
        one.digest.slice(0, 12),
      ];
      print({ items }, () =>
        table(['RELEASE', 'PRECISION', 'BYTES', 'STATE', 'CERTIFIED BY', 'DIGEST'], items.map(row)),
      );
    });
  release
    .command('upload <file>')
    .description('upload a .vigie package; the same package again is no error')
    .action(async (file: string) => {
      const made = await client().upload<Release>('/releases', file);
      print(made, () => `${releaseLabel(made)} ${made.precision} ${made.state} ${made.digest}\n`);
    });
  release
    .command('withdraw <name> <version>')
    .description('take a release out of the targets: boards keep it, none installs it any more')
    .action(async (name: string, version: string) => {
      const gone = await client().post<Release>(
        `/releases/${encodeURIComponent(name)}/${encodeURIComponent(version)}/withdraw`,
      );
      print(gone, () => `${releaseLabel(gone)} ${gone.state}\n`);
    });
}
