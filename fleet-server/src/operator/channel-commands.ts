import type { Command } from 'commander';
import type { CommandContext } from './context.js';
import { readDocument } from './document-file.js';
import { table } from './table.js';

interface Channel {
  name: string;
  type: string;
  settings: { url?: string; to?: string[]; topic?: string };
  events: string[];
  enabled: boolean;
  failingSince: string | null;
  disabledReason: string | null;
  signingKey?: string;
}

interface Delivery {
  id: number;
  channel: string;
  kind: string;
  state: string;
  attempts: number;
  createdAt: string;
  log: { status: number | null; latencyMs: number; error: string | null }[];
}

/** `vigie channel …`, also `vigie webhook …` */
export function addChannelCommands(program: Command, context: CommandContext): void {
  const { client, print } = context;
  const channel = program
    .command('channel')
    .alias('webhook')
    .description('where alerts and events go: webhook, mail, MQTT');
  const path = (name: string) => `/channels/${encodeURIComponent(name)}`;
  channel
    .command('list')
    .description('all channels')
    .action(async () => {
      const { items } = await client().get<{ items: Channel[] }>('/channels');
      const row = (one: Channel) => [...[one.name, one.type, targetOf(one), one.events.join(',') || '-', stateOf(one)]];
      print({ items }, () => table(['CHANNEL', 'TYPE', 'TARGET', 'EVENTS', 'STATE'], items.map(row)));
    });
  channel
    .command('set <name> <file>')
    .description("make or replace a channel from a YAML or JSON file. A webhook's key is shown once")
    .action(async (name: string, file: string) => {
      const done = await client().put<Channel>(path(name), await readDocument(file));
      const key = done.signingKey === undefined ? '' : `signing key (shown once): ${done.signingKey}\n`;
      print(done, () => `${done.name} ${done.type} ${targetOf(done)}\n${key}`);
    });
  channel
    .command('test <name>')
    .description('send a test message')
    .action(async (name: string) => {
      const { id } = await client().post<Delivery>(`${path(name)}/test`);
      print({ delivery: id }, () => `delivery ${id}; see how it went: vigie channel log ${name}\n`);
    });
  channel
    .command('remove <name>')
    .description('remove a channel and its deliveries')
    .action(async (name: string) => {
      await client().delete(path(name));
      print({ name, removed: true }, () => `${name} removed\n`);
    });
  channel
    .command('log [name]')
    .description('what was sent and how that went, newest first')
    .option('--state <state>', 'pending, delivered or failed')
    .option('--limit <n>', 'at most so many', '50')
    .action(async (name: string | undefined, { state, limit }: { state?: string; limit: string }) => {
      const query = new URLSearchParams({
        ...{ limit, ...(name === undefined ? {} : { channel: name }) },
        ...(state === undefined ? {} : { state }),
      });
      const page = await client().get<{ items: Delivery[] }>(`/deliveries?${query}`);
      const row = (one: Delivery) => {
        const last = one.log.at(-1);
        return [
          ...[String(one.id), one.createdAt, one.channel, one.kind, one.state, String(one.attempts)],
          ...[
            last === undefined ? '-' : `${last.latencyMs} ms`,
            last?.error ?? (last?.status ? String(last.status) : '-'),
          ],
        ];
      };
      const head = ['DELIVERY', 'AT', 'CHANNEL', 'KIND', 'STATE', 'ATTEMPTS', 'LATENCY', 'ANSWER'];
      print(page, () => table(head, page.items.map(row)));
    });
  channel
    .command('replay <delivery>')
    .description('send the same again')
    .action(async (id: string) => {
      const again = await client().post<Delivery>(`/deliveries/${encodeURIComponent(id)}/replay`);
      print(again, () => `delivery ${again.id}\n`);
    });
}

function targetOf({ settings }: Channel): string {
  if (settings.to !== undefined) return settings.to.join(',');
  return `${settings.url ?? '-'}${settings.topic === undefined ? '' : ` ${settings.topic}`}`;
}

function stateOf({ enabled, disabledReason, failingSince }: Channel): string {
  if (!enabled) return 'off';
  if (disabledReason !== null) return `switched off: ${disabledReason}`;
  return failingSince === null ? 'ok' : `failing since ${failingSince}`;
}
