import type { Command } from 'commander';
import type { TelemetrySpan } from '../devices/telemetry-view.js';
import type { CommandContext } from './context.js';
import { readDocument } from './document-file.js';
import { printable, table } from './table.js';

interface Asked {
  id: string;
  state: 'sent' | 'answered' | 'expired';
  ok: boolean | null;
  code: string | null;
  result: unknown;
}

interface AskOptions {
  wait: string;
  lines?: string;
}

const POLL_MS = 250;

/** What boards are asked and told besides releases: `vigie device ask|configure|configuration|telemetry|drift …`. */
export function addDeviceWorkCommands(
  program: Command,
  { client, print, fail, misused, progress }: CommandContext,
): void {
  const device = program.commands.find((command) => command.name() === 'device') ?? program.command('device');
  const at = (id: string) => `/devices/${encodeURIComponent(id)}`;

  device
    .command('ask <id> <what>')
    .description('identify: blink; snapshot: a picture now; logs: the newest lines. Waits for the answer')
    .option('--lines <n>', 'of logs', '100')
    .option('--wait <seconds>', 'how long the board may take', '30')
    .action(async (id: string, what: string, { wait, lines = '100' }: AskOptions) => {
      if (!['identify', 'snapshot', 'logs'].includes(what))
        misused('COMMAND_UNKNOWN', `${what}: ask for identify, snapshot or logs`);
      if (!/^[1-9]\d{0,3}$/.test(lines)) misused('LINES_INVALID', `--lines ${lines}: use 1..1000`);
      if (!/^([5-9]|[1-9]\d{1,4})$/.test(wait)) misused('WAIT_INVALID', `--wait ${wait}: use 5..86400`);
      const command = what === 'logs' ? { kind: what, lines: Number(lines) } : { kind: what };
      const sent = await client().post<Asked>(`${at(id)}/commands`, { command, expiresInSeconds: Number(wait) });
      progress(`asked ${id}, waiting for its answer`);
      let asked = sent;
      while (asked.state === 'sent') {
        await new Promise((resolve) => setTimeout(resolve, POLL_MS));
        asked = await client().get<Asked>(`${at(id)}/commands/${sent.id}`);
      }
      if (asked.state === 'expired') return fail('NO_ANSWER', `${id} did not answer within ${wait} s; is it online?`);
      if (asked.ok !== true) return fail(asked.code ?? 'FAILED', `${id}: ${asked.code ?? 'the command failed'}`);
      print(asked, () => {
        const { lines: log } = asked.result as { lines?: string[] };
        return log === undefined
          ? `${printable(JSON.stringify(asked.result))}\n`
          : `${log.map(printable).join('\n')}\n`;
      });
    });

  device
    .command('configure <target> [file]')
    .description('what to look for (YAML or JSON) of a board, of group:NAME, or of all: fleet; --remove takes it back')
    .option('--remove', 'take back what was wanted')
    .option('--note <text>', 'why')
    .action(async (target: string, file: string | undefined, { remove, note }: { remove?: boolean; note?: string }) => {
      const path = configurationPath(target);
      if ((file === undefined) !== (remove === true)) misused('FILE_MISSING', 'name a file, or give --remove');
      const body = file === undefined ? null : { configuration: await readDocument(file), note };
      type Done = { version: number; told: number };
      const done = body === null ? await client().delete<Done>(path) : await client().put<Done>(path, body);
      print(done, () => `version ${done.version}, ${done.told} boards told\n`);
    });

  device
    .command('configuration <target>')
    .description('what is wanted of a board, of group:NAME, or of all: fleet')
    .action(async (target: string) => {
      const record = await client().get<{ version: number; configuration: unknown }>(configurationPath(target));
      print(record, () => `version ${record.version}\n${JSON.stringify(record.configuration, null, 2)}\n`);
    });

  device
    .command('telemetry <id>')
    .description('figures over time, the last hour by the minute unless you say more')
    .option('--from <time>', 'RFC 3339, such as 2026-11-21T07:00:00Z')
    .option('--to <time>', 'likewise')
    .option('--resolution <minute|hour>', 'length of a row')
    .action(async (id: string, options: Record<string, string>) => {
      const { items } = await client().get<{ items: (TelemetrySpan & { at: string })[] }>(
        `${at(id)}/telemetry?${new URLSearchParams(options)}`,
      );
      const row = (one: TelemetrySpan & { at: string }) => [
        ...[one.at, one.fps.toFixed(1), one.latencyMs?.p50.toFixed(1) ?? '-', one.latencyMs?.p95.toFixed(1) ?? '-'],
        ...[String(one.drops), one.cpu.toFixed(2), one.temperatureMaxC?.toFixed(0) ?? '-', String(one.detections)],
      ];
      print({ items }, () =>
        table(['AT', 'FPS', 'P50 MS', 'P95 MS', 'DROPS', 'CPU', 'MAX °C', 'DETECTIONS'], items.map(row)),
      );
    });

  device
    .command('drift [id]')
    .description('how far boards and releases are from what they saw at first')
    .action(async (id?: string) => {
      const { items } = await client().get<{ items: Record<string, never>[] }>(
        `/drift${id === undefined ? '' : `?device=${encodeURIComponent(id)}`}`,
      );
      const row = (one: Record<string, never>) => [
        ...[one.device || 'all', one.release ?? one.model, one.drifting ? 'drifts' : 'stable'],
        ...[Number(one.scorePsi).toFixed(3), Number(one.areaPsi).toFixed(3), one.since],
      ];
      print({ items }, () => table(['DEVICE', 'RELEASE', 'STATE', 'SCORES', 'SIZES', 'SINCE'], items.map(row)));
    });
}

function configurationPath(target: string): string {
  if (target === 'fleet') return '/configuration';
  if (target.startsWith('group:')) return `/groups/${encodeURIComponent(target.slice(6))}/configuration`;
  return `/devices/${encodeURIComponent(target)}/configuration`;
}
