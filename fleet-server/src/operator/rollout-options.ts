import type { Command } from 'commander';
import type { CommandContext } from './context.js';
import { parseReleaseName } from './release-name.js';

export interface SpecOptions {
  file?: string;
  device?: string[];
  tag?: string[];
  withoutTag?: string[];
  class?: string[];
  wave?: string[];
  title?: string;
  concurrency?: string;
  rate?: string;
  soak?: string;
  startAt?: string;
  cron?: string;
  timeZone?: string;
  rollback?: boolean;
  follow?: boolean;
  retry?: boolean;
  all?: boolean;
  overrideLabels?: string;
}

/** Options that describe a rollout; the rest of what it can be stands in a file. */
export function addSpecOptions(command: Command): Command {
  return command
    .option('--file <path>', 'the rollout as YAML or JSON (docs/rollouts.md); the options below go before it')
    .option('--device <id...>', 'these boards')
    .option('--tag <tag...>', 'boards with all of these tags')
    .option('--without-tag <tag...>', 'boards with none of these tags')
    .option('--class <name...>', 'boards of one of these hardware classes')
    .option('--all', 'all boards')
    .option(
      '--wave <size...>',
      'waves in order: 3 (so many more boards) or 50% (up to that share of all); 100% is last',
    )
    .option('--soak <seconds>', 'how long each of these waves is watched')
    .option('--title <text>', 'what it is for')
    .option('--concurrency <n>', 'boards at work at the same time')
    .option('--rate <n>', 'starts per minute')
    .option('--start-at <time>', 'start by itself then, RFC 3339 in UTC such as 2026-12-01T02:00:00.000Z')
    .option('--cron <line>', 'start by itself at the next time of this cron line')
    .option('--time-zone <zone>', 'zone of --cron')
    .option('--no-rollback', 'on a breach only stop and ask')
    .option('--no-follow', 'end when done: boards that come later do not get it')
    .option('--override-labels <reason>', 'also where rules of boards need labels that it lacks')
    .option('--retry', 'also where this release failed before');
}

/** The request that the options and the file make. Throws UsageError. */
export function requestOf(
  release: string | undefined,
  options: SpecOptions,
  document: Record<string, unknown>,
  { misused }: Pick<CommandContext, 'misused'>,
): Record<string, unknown> {
  const number = (name: string, text: string | undefined): number | undefined => {
    if (text === undefined) return undefined;
    const value = Number(text);
    if (!Number.isInteger(value) || value < 0) misused('OPTION_INVALID', `--${name} ${text}: is no whole number`);
    return value;
  };
  const selected = {
    ...(options.device && { devices: options.device }),
    ...(options.tag && { tags: options.tag }),
    ...(options.withoutTag && { withoutTags: options.withoutTag }),
    ...(options.class && { hardwareClasses: options.class }),
  };
  const named = Object.keys(selected).length > 0;
  if (!named && options.all !== true && document.selector === undefined)
    misused('SELECTOR_MISSING', 'which boards? give --device, --tag, --class, or --all');
  if (release === undefined && document.release === undefined)
    misused('RELEASE_MISSING', 'which release? write name@version, or release in the file');
  const soakSeconds = number('soak', options.soak);
  const waves = options.wave?.map((size, index, all) => ({
    name: index === all.length - 1 ? 'all' : index === 0 ? 'canary' : `wave-${index + 1}`,
    size: sizeOf(size, misused),
    ...(soakSeconds === undefined ? {} : { soakSeconds }),
  }));
  const { title, startAt, cron, timeZone, overrideLabels } = options;
  const given = {
    ...(release === undefined ? {} : { release: parseReleaseName(release) }),
    ...(named || options.all === true ? { selector: selected } : {}),
    ...(startAt === undefined ? {} : { schedule: { startAt } }),
    ...(cron === undefined ? {} : { schedule: { cron, ...(timeZone === undefined ? {} : { timeZone }) } }),
    ...(options.rollback === false ? { autoRollback: false } : {}),
    ...(options.follow === false ? { follow: false } : {}),
    ...(overrideLabels === undefined ? {} : { overrideLabels: { reason: overrideLabels } }),
    ...{ waves, title, retry: options.retry },
    ...{ concurrency: number('concurrency', options.concurrency), startsPerMinute: number('rate', options.rate) },
  };
  return { ...document, ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) };
}

function sizeOf(text: string, misused: CommandContext['misused']): { share: number } | { count: number } {
  const [, number, percent] = /^(\d+(?:\.\d+)?)(%?)$/.exec(text) ?? [];
  const value = Number(number);
  if (number === undefined || value <= 0 || (percent === '%' ? value > 100 : !Number.isInteger(value)))
    return misused('WAVE_INVALID', `--wave ${text}: write a number of boards such as 3, or a share such as 50%`);
  return percent === '%' ? { share: value / 100 } : { count: value };
}
