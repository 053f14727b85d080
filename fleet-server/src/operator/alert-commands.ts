import type { Command } from 'commander';
import type { CommandContext } from './context.js';
import { readDocument } from './document-file.js';
import { table } from './table.js';

interface Alert {
  id: number;
  rule: string;
  severity: string;
  subject: string;
  state: string;
  text: string;
  raisedAt: string | null;
  clearedAt: string | null;
  acknowledged: { by: string } | null;
}

interface Rule {
  name: string;
  kind: string;
  threshold: number | null;
  minutes: number;
  severity: string;
  channels: string[];
  repeatMinutes: number | null;
  enabled: boolean;
}

/** `vigie alert …` */
export function addAlertCommands(program: Command, context: CommandContext): void {
  const { client, print } = context;
  const alert = program.command('alert').description('what somebody should look at');
  alert
    .command('list')
    .description('raised alerts, newest first')
    .option('--all', 'cleared ones, too')
    .option('--rule <name>', 'of one rule')
    .option('--subject <subject>', 'about one board, release or rollout')
    .option('--limit <n>', 'at most so many', '100')
    .action(
      async ({ all, rule, subject, limit }: { all?: boolean; rule?: string; subject?: string; limit: string }) => {
        const query = new URLSearchParams({
          ...{ limit, ...(all ? {} : { state: 'raised' }) },
          ...(rule === undefined ? {} : { rule }),
          ...(subject === undefined ? {} : { subject }),
        });
        const page = await client().get<{ items: Alert[]; next: string | null }>(`/alerts?${query}`);
        const row = (one: Alert) => [
          ...[String(one.id), one.severity, one.state, one.raisedAt ?? '-', one.subject, one.text],
          one.acknowledged?.by ?? '-',
        ];
        const head = ['ALERT', 'SEVERITY', 'STATE', 'RAISED', 'SUBJECT', 'TEXT', 'ACKNOWLEDGED BY'];
        print(page, () => table(head, page.items.map(row)));
      },
    );
  alert
    .command('acknowledge <id>')
    .description('say that you look after it: it is not told again')
    .option('--note <text>', 'for the others')
    .action(async (id: string, { note }: { note?: string }) => {
      const done = await client().post<Alert>(
        `/alerts/${encodeURIComponent(id)}/acknowledge`,
        note === undefined ? {} : { note },
      );
      print(done, () => `${done.id} ${done.subject}: acknowledged by ${done.acknowledged?.by}\n`);
    });
  addRuleCommands(alert, context);
}

function addRuleCommands(alert: Command, { client, print }: CommandContext): void {
  const rule = alert.command('rule').description('what is watched for, and who is told');
  rule
    .command('list')
    .description('all rules')
    .action(async () => {
      const { items } = await client().get<{ items: Rule[] }>('/alert-rules');
      const row = (one: Rule) => [
        ...[
          one.name,
          one.kind,
          one.threshold === null ? '-' : String(one.threshold),
          String(one.minutes),
          one.severity,
        ],
        ...[one.channels.join(',') || '-', one.enabled ? 'yes' : 'no'],
      ];
      const head = ['RULE', 'KIND', 'THRESHOLD', 'MINUTES', 'SEVERITY', 'CHANNELS', 'ENABLED'];
      print({ items }, () => table(head, items.map(row)));
    });
  rule
    .command('kinds')
    .description('what rules can watch for')
    .action(async () => {
      interface Kind {
        kind: string;
        about: string;
        threshold?: { unit: string; default: number };
      }
      const { items } = await client().get<{ items: Kind[] }>('/alert-rule-kinds');
      const row = ({ kind, about, threshold }: Kind) => [
        ...[kind, threshold === undefined ? '-' : `${threshold.default} ${threshold.unit}`, about],
      ];
      print({ items }, () => table(['KIND', 'THRESHOLD', 'ABOUT'], items.map(row)));
    });
  rule
    .command('set <name> <file>')
    .description('make or replace a rule from a YAML or JSON file')
    .action(async (name: string, file: string) => {
      const done = await client().put<Rule>(`/alert-rules/${encodeURIComponent(name)}`, await readDocument(file));
      print(done, () => `${done.name} ${done.kind} -> ${done.channels.join(', ') || 'no channel'}\n`);
    });
  rule
    .command('remove <name>')
    .description('remove a rule; its open alerts are cleared')
    .action(async (name: string) => {
      await client().delete(`/alert-rules/${encodeURIComponent(name)}`);
      print({ name, removed: true }, () => `${name} removed\n`);
    });
}
