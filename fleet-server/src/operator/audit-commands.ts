import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Command } from 'commander';
import { type AuditRecord, ChainCheck, type ChainVerdict } from '../services/audit-entry.js';
import { allPages } from './access-lists.js';
import type { CommandContext } from './context.js';
import { table } from './table.js';

interface ListOptions {
  actor?: string;
  subject?: string;
  outcome?: string;
  since?: string;
  before?: string;
  limit: string;
}

/** `vigie audit …` */
export function addAuditCommands(program: Command, { client, print, fail, misused }: CommandContext): void {
  const audit = program.command('audit').description('what operators did (admins only)');
  audit
    .command('list')
    .description('newest first')
    .option('--actor <name>', 'of one user or token')
    .option('--subject <name>', 'about one user, device or name@version')
    .option('--outcome <outcome>', 'done, refused or failed')
    .option('--since <instant>', 'from this one on, such as 2026-11-21T00:00:00Z')
    .option('--before <instant>', 'before this one')
    .option('--limit <n>', 'at most so many', '50')
    .action(async ({ limit, ...filter }: ListOptions) => {
      if (!/^[1-9]\d{0,5}$/.test(limit)) misused('LIMIT_INVALID', `--limit ${limit}: use 1..999999`);
      const most = Number(limit);
      const query = new URLSearchParams({ ...filter, limit: String(Math.min(most, 1000)) });
      const items = await allPages<AuditRecord>(client(), '/audit', query, most);
      const row = ({ seq, entry }: AuditRecord) => [
        ...[String(seq), entry.at.slice(0, 19).replace('T', ' '), entry.actor, entry.action, entry.subject],
        `${entry.outcome}${entry.status === null ? '' : ` ${entry.status}`}`,
      ];
      print({ items }, () => table(['ROW', 'AT', 'WHO', 'WHAT', 'SUBJECT', 'OUTCOME'], items.map(row)));
    });
  audit
    .command('export')
    .description('the whole log as JSON lines on stdout, oldest first')
    .option('--after <row>', 'rows above this number', '0')
    .action(async ({ after }: { after: string }) => {
      if (!/^\d{1,15}$/.test(after)) misused('AFTER_INVALID', `--after ${after}: use the number of a row`);
      const answer = await client().send('GET', `/audit/export?after=${after}`);
      for await (const part of answer) {
        if (!process.stdout.write(part)) await new Promise((resolve) => process.stdout.once('drain', resolve));
      }
    });
  audit
    .command('verify [file]')
    .description(
      'is every row what it was? Of an exported file without the server, or of the server itself; 1 when not',
    )
    .action(async (file: string | undefined) => {
      const verdict =
        file === undefined ? await client().get<ChainVerdict>('/audit/verify') : await verifyFile(file, misused);
      if (!verdict.ok) {
        print(verdict, () => '');
        return fail(verdict.code, verdict.detail);
      }
      const { rows, end } = verdict;
      print(verdict, () => `${rows} rows hold; the last is ${end.seq} ${end.hash}\n`);
    });
}

/** A file that begins later than with row 1 is checked from its first row on. */
async function verifyFile(file: string, misused: CommandContext['misused']): Promise<ChainVerdict> {
  let check: ChainCheck | null = null;
  let number = 0;
  try {
    for await (const line of createInterface({
      input: createReadStream(file, 'utf8'),
      crlfDelay: Number.POSITIVE_INFINITY,
    })) {
      number += 1;
      if (line === '') continue;
      const record = JSON.parse(line) as AuditRecord;
      check ??= new ChainCheck(record.seq === 1 ? undefined : null);
      if (!check.add(record)) break;
    }
  } catch (error) {
    if (error instanceof SyntaxError)
      return misused('FILE_INVALID', `${file}: line ${number} is no JSON; name an export`);
    const { code } = error as NodeJS.ErrnoException;
    return misused('FILE_UNREADABLE', `${file}: cannot be read (${code}); name a file of "vigie audit export"`);
  }
  return (check ?? new ChainCheck()).verdict();
}
