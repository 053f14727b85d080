import { type Command, Option } from 'commander';
import type { CommandContext } from './context.js';
import { type NeedsView, needsText } from './gate-needs.js';
import { followUpload, type Upload, uploadPackage } from './package-upload.js';
import { addPromotionCommands } from './promotion-commands.js';
import { parseReleaseName, releaseLabel } from './release-name.js';
import { printable, table } from './table.js';

interface Release {
  name: string;
  version: string;
  digest: string;
  precision: string;
  bytes: number;
  state: string;
  certifiedBy: string | null;
}

interface ShownRelease extends Release {
  aliases: string[];
  createdAt: string;
  uploadedBy: string | null;
  notes: string;
  provenance: { model: string; version: string } | null;
  promotions: { alias: string; at: string; actor: string; reason: string }[];
}

/** `vigie release …` */
export function addReleaseCommands(program: Command, context: CommandContext): void {
  const { client, print, progress, misused } = context;
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
  const wait = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
  /** `file`: the package on this machine, for the commands that measure it. */
  const taken = async (upload: Upload, file?: string) => {
    const made = await client().get<Release>(releasePath(upload.release as { name: string; version: string }));
    const again = upload.created === false ? ' (it was there already)' : '';
    const line = `${releaseLabel(made)} ${made.precision} ${made.state} ${made.digest}${again}\n`;
    const needs = await client().get<NeedsView>(`${releasePath(made)}/gates`);
    print({ ...made, created: upload.created, gates: needs.gates }, () => `${line}${needsText(needs, file)}`);
  };
  release
    .command('upload <file>')
    .description('upload a .vigie package; goes on after a cut; the same package again is no error')
    .option('--notes <text>', 'what people should know of it')
    .action(async (file: string, { notes }: { notes?: string }) => {
      await taken(await uploadPackage(client(), file, notes, { progress, wait }), file);
    });
  release
    .command('import <model>')
    .description('import a version of a registered model from the MLflow server of the configuration')
    .option('--model-version <n>', 'by its number')
    .option('--alias <alias>', 'by its alias (candidate when neither is given)')
    .option('--notes <text>', 'what people should know of it')
    .action(async (model: string, options: { modelVersion?: string; alias?: string; notes?: string }) => {
      const { modelVersion, alias, notes } = options;
      if (modelVersion !== undefined && alias !== undefined)
        misused('IMPORT_INVALID', 'name --model-version or --alias, and not both');
      const which = modelVersion === undefined ? { alias: alias ?? 'candidate' } : { version: modelVersion };
      const body = { model, ...which, ...(notes === undefined ? {} : { notes }) };
      const { id } = await client().post<Upload>('/mlflow/imports', body);
      await taken(await followUpload(client(), id, { progress, wait }));
    });
  release
    .command('show <release>')
    .description('one release (name@version) and the decisions about it')
    .action(async (target: string) => {
      const one = await client().get<ShownRelease>(releasePath(parseReleaseName(target)));
      const lines: [string, string][] = [
        ['release', releaseLabel(one)],
        ['state', `${one.state}${one.certifiedBy === null ? '' : ` (${one.certifiedBy})`}`],
        ['aliases', one.aliases.join(', ') || '-'],
        ['digest', one.digest],
        ['package', `${one.bytes} bytes, ${one.precision}`],
        ['uploaded', `${one.createdAt} by ${one.uploadedBy ?? '-'}`],
        ['from', one.provenance === null ? '-' : `MLflow ${one.provenance.model} ${one.provenance.version}`],
        ['notes', one.notes || '-'],
        ...one.promotions.map(({ alias, at, actor, reason }): [string, string] => [alias, `${at} ${actor}: ${reason}`]),
      ];
      print(one, () => lines.map(([name, value]) => `${name.padEnd(9)} ${printable(value)}\n`).join(''));
    });
  release
    .command('notes <release> <text>')
    .description('write the notes of a release (name@version)')
    .action(async (target: string, notes: string) => {
      const one = await client().put<Release>(`${releasePath(parseReleaseName(target))}/notes`, { notes });
      print(one, () => `${releaseLabel(one)} noted\n`);
    });
  release
    .command('compare <a> <b>')
    .description('two releases (name@version) side by side')
    .addOption(new Option('--format <format>', 'how').choices(['markdown', 'csv']).default('markdown'))
    .action(async (a: string, b: string, { format }: { format: string }) => {
      for (const one of [a, b]) parseReleaseName(one);
      const path = `/releases/compare?${new URLSearchParams({ a, b })}`;
      const parts: Buffer[] = [];
      for await (const part of await client().send('GET', `${path}&format=${format}`)) parts.push(part as Buffer);
      print(await client().get(path), () => Buffer.concat(parts).toString());
    });
  release
    .command('withdraw <name> <version>')
    .description('take a release out of the targets: boards keep it, none installs it any more')
    .option('--reason <text>', 'why; it stands in the activity log')
    .action(async (name: string, version: string, { reason }: { reason?: string }) => {
      const body = reason === undefined ? undefined : { reason };
      const gone = await client().post<Release>(`${releasePath({ name, version })}/withdraw`, body);
      print(gone, () => `${releaseLabel(gone)} ${gone.state}\n`);
    });
  addPromotionCommands(release, context);
}

function releasePath({ name, version }: { name: string; version: string }): string {
  return `/releases/${encodeURIComponent(name)}/${encodeURIComponent(version)}`;
}
