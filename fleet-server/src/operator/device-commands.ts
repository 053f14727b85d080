import type { Command } from 'commander';
import type { DeviceView } from '../devices/device-view.js';
import type { CommandContext } from './context.js';
import { releaseLabel } from './release-name.js';
import { printable, table } from './table.js';

function state(device: DeviceView): string {
  if (device.revokedAt !== null) return 'revoked';
  if (device.inSync) return 'in sync';
  return device.reported?.error?.code ?? (device.desired === null ? '-' : 'pending');
}

/** `vigie device …` */
export function addDeviceCommands(program: Command, { client, print }: CommandContext): void {
  const device = program.command('device').description('boards');
  device
    .command('list')
    .description('all enrolled boards')
    .action(async () => {
      const { items } = await client().get<{ items: DeviceView[] }>('/devices');
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
    ['class', one.hardwareClass],
    ['presence', `${one.presence.online ? 'online' : 'offline'} (${one.presence.at ?? 'never seen'})`],
    ['desired', `${releaseLabel(one.desired?.release)} generation ${one.desired?.generation ?? 0}`],
    ['active', active ? `${releaseLabel(active.release)}, ${active.framesRun} frames` : '-'],
    ['phase', reported?.phase ?? '-'],
    ['error', reported?.error ? `${reported.error.code}: ${reported.error.message}` : '-'],
    ['state', state(one)],
    ['fps', telemetry ? telemetry.fps.toFixed(1) : '-'],
    ['latency', total ? `p50 ${total.p50} ms, p95 ${total.p95} ms` : '-'],
  ];
}
