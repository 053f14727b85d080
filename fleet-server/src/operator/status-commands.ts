import type { Command } from 'commander';
import type { CommandContext } from './context.js';

interface Overview {
  version: string;
  devices: { state: string; hardwareClass: string; count: number }[];
  releases: { release: string; count: number }[];
  rollouts: { state: string; count: number }[];
  alerts: { severity: string; count: number }[];
  deliveriesPending: number;
}

/** `vigie status` */
export function addStatusCommands(program: Command, { client, print }: CommandContext): void {
  program
    .command('status')
    .description('the fleet in one view')
    .action(async () => {
      const seen = await client().get<Overview>('/overview');
      const of = (state: string) =>
        seen.devices.filter((one) => one.state === state).reduce((sum, { count }) => sum + count, 0);
      const list = (items: readonly string[]) => (items.length === 0 ? 'none' : items.join(', '));
      const lines = [
        ['server', seen.version],
        ['boards', `${of('online')} online, ${of('offline')} offline, ${of('revoked')} revoked`],
        ['running', list(seen.releases.slice(0, 10).map(({ release, count }) => `${release} on ${count}`))],
        ['rollouts', list(seen.rollouts.map(({ state, count }) => `${count} ${state}`))],
        ['alerts', list(seen.alerts.map(({ severity, count }) => `${count} ${severity}`))],
        ['deliveries', `${seen.deliveriesPending} waiting`],
      ];
      print(seen, () => lines.map(([name, value]) => `${name.padEnd(11)}${value}\n`).join(''));
    });
}
