import type { Command } from 'commander';
import type { DeviceView } from '../devices/device-view.js';
import type { DeviceCounts } from '../io/database/device-counts.js';
import { allPages } from './access-lists.js';
import type { CommandContext } from './context.js';
import { releaseLabel } from './release-name.js';
import { printable, table } from './table.js';

function state(device: DeviceView): string {
  if (device.decommissionedAt !== null) return 'decommissioned';
  if (device.revokedAt !== null) return 'revoked';
  if (device.pending) return 'waits for approval';
  if (device.inSync) return 'in sync';
  return device.reported?.error?.code ?? (device.desired === null ? '-' : 'pending');
}

interface ListOptions {
  tag?: string[];
  group?: string;
  class?: string;
  running?: string;
  desired?: string;
  phase?: string;
  error?: string;
  prefix?: string;
  online?: boolean;
  offline?: boolean;
  pending?: boolean;
  behind?: boolean;
  decommissioned?: boolean;
  limit: string;
}

/** Most rows that a list prints, however many boards there are. */
const MOST_ROWS = 100_000;

function queryOf(options: Omit<ListOptions, 'limit'>): URLSearchParams {
  const { tag = [], online, offline, pending, behind, decommissioned, ...texts } = options;
  const query = new URLSearchParams(
    Object.entries(texts).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
  for (const one of tag) query.append('tag', one);
  if (online === true || offline === true) query.set('online', String(online === true));
  if (pending === true) query.set('pending', 'true');
  if (behind === true) query.set('inSync', 'false');
  if (decommissioned === true) query.set('decommissioned', 'true');
  return query;
}

const filtered = (command: Command): Command =>
  command
    .option('--tag <tag...>', 'that have all of these')
    .option('--group <name>', 'of this group')
    .option('--class <name>', 'of this hardware class')
    .option('--running <name@version>', 'that run this release')
    .option('--desired <name@version>', 'that shall run this release')
    .option('--phase <phase>', 'whose install stands there, such as TRIAL')
    .option('--error <code>', 'that report this error')
    .option('--prefix <text>', 'whose id or name begins so')
    .option('--online', 'whose line is there')
    .option('--offline', 'whose line is not there')
    .option('--pending', 'that wait for approval')
    .option('--behind', 'that did not prove that they run what is wanted')
    .option('--decommissioned', 'that were taken out of the fleet');

/** `vigie device …` */
export function addDeviceCommands(program: Command, { client, print, misused }: CommandContext): void {
  const device = program.command('device').description('boards');
  filtered(device.command('list'))
    .description('enrolled boards, all or some')
    .option('--limit <n>', 'at most so many', String(MOST_ROWS))
    .action(async ({ limit, ...options }: ListOptions) => {
      if (!/^[1-9]\d{0,5}$/.test(limit)) misused('LIMIT_INVALID', `--limit ${limit}: use 1..999999`);
      const query = queryOf(options);
      query.set('limit', String(Math.min(Number(limit), 1000)));
      const items = await allPages<DeviceView>(client(), '/devices', query, Number(limit));
      const row = (one: DeviceView) => [
        one.id,
        one.hardwareClass,
        one.presence.online ? 'online' : 'offline',
        releaseLabel(one.desired?.release),
        String(one.desired?.generation ?? 0),
        releaseLabel(one.reported?.active?.release),
        one.reported?.phase ?? '-',
        state(one),
      ];
      print({ items }, () =>
        table(['DEVICE', 'CLASS', 'PRESENCE', 'DESIRED', 'GENERATION', 'ACTIVE', 'PHASE', 'STATE'], items.map(row)),
      );
    });
  filtered(device.command('count'))
    .description('how many boards, by what they run and where they stand')
    .action(async (options: ListOptions) => {
      const counts = await client().get<DeviceCounts>(`/devices/counts?${queryOf(options)}`);
      const group = (title: string, by: Record<string, number>) =>
        Object.entries(by).map(([name, count]) => [title, name || '-', String(count)]);
      const { total, online, inSync, pending, failing } = counts;
      print(counts, () =>
        table(
          ['WHAT', 'WHICH', 'BOARDS'],
          [
            ...Object.entries({ total, online, inSync, pending, failing }).map(([name, count]) => [
              'all',
              name,
              String(count),
            ]),
            ...[...group('runs', counts.byRunning), ...group('phase', counts.byPhase)],
            ...group('class', counts.byHardwareClass),
          ],
        ),
      );
    });
  device
    .command('set <id>')
    .description('name, notes, tags and time zone of a board')
    .option('--name <text>', 'what people call it')
    .option('--notes <text>', 'what they should know of it')
    .option('--tags <tags...>', 'all of its tags; --tags "" takes them away')
    .option('--time-zone <zone>', 'of its maintenance windows, such as Europe/Berlin')
    .action(async (id: string, { name, notes, tags, timeZone }: Record<string, string> & { tags?: string[] }) => {
      const body = { name, notes, timeZone, tags: tags?.filter((tag) => tag !== '') };
      if (Object.values(body).every((value) => value === undefined))
        misused('NOTHING_SET', 'say what to set: --name, --notes, --tags or --time-zone');
      const changed = await client().patch<DeviceView>(`/devices/${encodeURIComponent(id)}`, body);
      print(changed, () => `${changed.id} ${changed.tags.join(' ')}\n`);
    });
  const step = (name: string, description: string, done: string) =>
    device
      .command(`${name} <id>`)
      .description(description)
      .action(async (id: string) => {
        const one = await client().post<DeviceView>(`/devices/${encodeURIComponent(id)}/${name}`);
        print(one, () => `${one.id} ${done}\n`);
      });
  step('approve', 'let a board that waits be told things', 'approved');
  step('decommission', 'take a board out of the fleet: shut out, off the lists, its history stays', 'decommissioned');
  device
    .command('show <id>')
    .description('one board with its last report and telemetry')
    .action(async (id: string) => {
      const one = await client().get<DeviceView>(`/devices/${encodeURIComponent(id)}`);
      print(one, () =>
        details(one)
          .map(([name, value]) => `${name.padEnd(9)} ${printable(value)}\n`)
          .join(''),
      );
    });
  device
    .command('revoke <id>')
    .description(
      'shut a board out: its certificate counts no more and its session ends; a new enrolment lets it in again',
    )
    .action(async (id: string) => {
      const gone = await client().post<DeviceView>(`/devices/${encodeURIComponent(id)}/revoke`);
      print(gone, () => `${gone.id} revoked ${gone.revokedAt}\n`);
    });
}

function details(one: DeviceView): [string, string][] {
  const { reported, telemetry } = one;
  const total = telemetry?.latencyMs.total;
  const active = reported?.active;
  return [
    ['device', one.id],
    ['name', one.name || '-'],
    ['tags', one.tags.join(' ') || '-'],
    ['class', one.hardwareClass],
    ['presence', `${one.presence.online ? 'online' : 'offline'} (${one.presence.at ?? 'never seen'})`],
    ['desired', `${releaseLabel(one.desired?.release)} generation ${one.desired?.generation ?? 0}`],
    ['active', active ? `${releaseLabel(active.release)}, ${active.framesRun} frames` : '-'],
    ['phase', reported?.phase ?? '-'],
    ['error', reported?.error ? `${reported.error.code}: ${reported.error.message}` : '-'],
    ['state', state(one)],
    ['fps', telemetry ? telemetry.fps.toFixed(1) : '-'],
    ['latency', total ? `p50 ${total.p50.toFixed(1)} ms, p95 ${total.p95.toFixed(1)} ms` : '-'],
  ];
}
