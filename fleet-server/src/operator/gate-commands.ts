import type { GateVerdict } from '@vigie/protocol';
import type { Command } from 'commander';
import type { CommandContext } from './context.js';
import { readDocument } from './document-file.js';
import { type NeedsView, needsText } from './gate-needs.js';
import { type JudgementView, judgementText, verdictText } from './gate-views.js';
import { parseReleaseName, releaseLabel } from './release-name.js';
import { printable, table } from './table.js';

interface Policy {
  name: string;
  version: number;
  removed: boolean;
  createdAt: string;
  createdBy: string;
  note: string;
  document: { description: string; rules: { require: string }[]; certifies: { hardwareClasses: string[] }[] } | null;
}

interface Override {
  id: number;
  release: { name: string; version: string } | null;
  hardwareClasses: string[];
  reason: string;
  state: string;
  requestedBy: string;
  decidedBy: string | null;
}

interface Rehearsal {
  policy: string;
  counts: Record<string, number>;
  items: { name: string; version: string; verdict: GateVerdict }[];
}

interface Certificate {
  hardwareClass: string;
  policy: string;
  grantedAt: string;
  revoked: { by: string; reason: string } | null;
}

const pathOf = (release: string) => {
  const { name, version } = parseReleaseName(release);
  return `/releases/${encodeURIComponent(name)}/${encodeURIComponent(version)}`;
};
const gatePath = (name: string) => `/gates/${encodeURIComponent(name)}`;

/** `vigie gate …` */
export function addGateCommands(program: Command, context: CommandContext): void {
  const gate = program.command('gate').description('what a release must show before boards may install it');
  addPolicyCommands(gate, context);
  addVerdictCommands(gate, context);
  addOverrideCommands(gate, context);
}

function addPolicyCommands(gate: Command, { client, print, misused }: CommandContext): void {
  gate
    .command('put <file>')
    .description('create a gate policy from a YAML or JSON file, or a new version of it')
    .option('--note <text>', 'why, for the history')
    .action(async (file: string, { note }: { note?: string }) => {
      const policy = await readDocument(file);
      const name = (policy as { name?: unknown } | null)?.name;
      if (typeof name !== 'string')
        return misused('GATE_INVALID', `${file}: name: is missing; write one, such as edge`);
      const made = await client().put<Policy>(gatePath(name), { policy, ...(note === undefined ? {} : { note }) });
      print(made, () => `${made.name} version ${made.version}\n`);
    });
  gate
    .command('list')
    .description('gate policies in force')
    .action(async () => {
      const { items } = await client().get<{ items: Policy[] }>('/gates');
      const row = ({ name, version, createdBy, document }: Policy) => [
        ...[name, String(version), createdBy],
        document?.certifies.flatMap(({ hardwareClasses }) => hardwareClasses).join(' ') ?? '-',
        document?.rules.map(({ require }) => require).join('; ') ?? '-',
      ];
      print({ items }, () => table(['GATE', 'VERSION', 'BY', 'CERTIFIES', 'RULES'], items.map(row)));
    });
  gate
    .command('show <name>')
    .description('one policy with its history')
    .action(async (name: string) => {
      const one = await client().get<Policy & { history: Policy[] }>(gatePath(name));
      const row = (old: Policy) => [
        ...[String(old.version), old.createdAt, old.createdBy, old.removed ? 'removed' : 'in force', old.note],
      ];
      print(one, () => {
        const history = table(['VERSION', 'AT', 'BY', 'STATE', 'NOTE'], one.history.map(row));
        const document = JSON.stringify(one.document, null, 2).split('\n').map(printable).join('\n');
        return `${document}\n${history}`;
      });
    });
  gate
    .command('remove <name>')
    .description('take a policy out of force; its history stays')
    .action(async (name: string) => {
      const gone = await client().delete<Policy>(gatePath(name));
      print(gone, () => `${gone.name} removed, version ${gone.version}\n`);
    });
  gate
    .command('dry-run <name-or-file>')
    .description('what a policy (in force, or in a file) would say of past releases; nothing is stored')
    .option('--version <n>', 'an earlier version of the policy in force')
    .option('--limit <n>', 'newest releases to try it on', '20')
    .action(async (given: string, { version, limit }: { version?: string; limit: string }) => {
      const isFile = /[./]/.test(given);
      const policy = isFile ? ((await readDocument(given)) as { name?: string }) : undefined;
      const name = policy === undefined ? given : String(policy?.name ?? 'unnamed');
      const body = {
        ...(policy === undefined ? {} : { policy }),
        ...(version === undefined ? {} : { version: Number(version) }),
        limit: Number(limit),
      };
      const told = await client().post<Rehearsal>(`${gatePath(name)}/dry-run`, body);
      const row = ({ verdict, ...release }: Rehearsal['items'][number]) => [
        ...[releaseLabel(release), verdict.verdict],
        firstReason(verdict),
      ];
      print(told, () => {
        const counts = Object.entries(told.counts).map(([verdict, count]) => `${count} ${verdict}`);
        return `${table(['RELEASE', 'VERDICT', 'WHY'], told.items.map(row))}${counts.join(', ')}\n`;
      });
    });
}

function addVerdictCommands(gate: Command, { client, print }: CommandContext): void {
  gate
    .command('needs <release>')
    .description('what name@version lacks to reach boards, and the commands that would bring it')
    .action(async (release: string) => {
      const needs = await client().get<NeedsView>(`${pathOf(release)}/gates`);
      print(needs, () => needsText(needs) || `${release} is ${needs.release.state}; it needs nothing from a gate\n`);
    });
  gate
    .command('release <release>')
    .description('release name@version, which gates certified, where gates.release is manual')
    .action(async (release: string) => {
      const done = await client().post<{ name: string; version: string; state: string }>(`${pathOf(release)}/release`);
      print(done, () => `${releaseLabel(done)} ${done.state}\n`);
    });
  gate
    .command('judge <release>')
    .description('let all gates judge name@version now')
    .action(async (release: string) => {
      const judged = await client().post<JudgementView>(`${pathOf(release)}/judge`);
      print(judged, () => judgementText(judged));
    });
  gate
    .command('verdicts [release]')
    .description('stored verdicts, newest first')
    .option('--limit <n>', 'at most so many', '20')
    .action(async (release: string | undefined, { limit }: { limit: string }) => {
      const query = new URLSearchParams({ limit, ...(release === undefined ? {} : parseReleaseName(release)) });
      type Row = GateVerdict & {
        id: number;
        release: { name: string; version: string };
        policyVersion: number;
        at: string;
      };
      const { items } = await client().get<{ items: Row[] }>(`/gate-verdicts?${query}`);
      const row = (one: Row) => [
        ...[String(one.id), one.at, releaseLabel(one.release), `${one.policy} ${one.policyVersion}`, one.verdict],
        firstReason(one),
      ];
      print({ items }, () => table(['ID', 'AT', 'RELEASE', 'GATE', 'VERDICT', 'WHY'], items.map(row)));
    });
  gate
    .command('verdict <id>')
    .description('one verdict with every rule and why')
    .action(async (id: string) => {
      const one = await client().get<GateVerdict>(`/gate-verdicts/${encodeURIComponent(id)}`);
      print(one, () => verdictText(one));
    });
  gate
    .command('certificates <release>')
    .description('what name@version is certified for')
    .action(async (release: string) => {
      const { items } = await client().get<{ items: Certificate[] }>(`${pathOf(release)}/certificates`);
      print({ items }, () => table(['CLASS', 'BY', 'AT', 'STATE'], items.map(certificateRow)));
    });
  gate
    .command('revoke <release> <class>')
    .description('take a certificate back; it only comes back by an override')
    .requiredOption('--reason <text>', 'why; at least 10 characters')
    .action(async (release: string, hardwareClass: string, { reason }: { reason: string }) => {
      const path = `${pathOf(release)}/certificates/revoke`;
      const { items } = await client().post<{ items: Certificate[] }>(path, { hardwareClass, reason });
      print({ items }, () => table(['CLASS', 'BY', 'AT', 'STATE'], items.map(certificateRow)));
    });
}

function addOverrideCommands(gate: Command, { client, print }: CommandContext): void {
  const text = (one: Override) =>
    `override ${one.id}: ${releaseLabel(one.release)} for ${one.hardwareClasses.join(', ')}: ${one.state}\n`;
  gate
    .command('override <release> <class...>')
    .description('ask to certify name@version for classes against the gates; somebody else must approve')
    .requiredOption('--reason <text>', 'why; at least 10 characters')
    .action(async (release: string, hardwareClasses: string[], { reason }: { reason: string }) => {
      const made = await client().post<Override>(`${pathOf(release)}/overrides`, { hardwareClasses, reason });
      print(made, () => text(made));
    });
  gate
    .command('overrides')
    .description('overrides of gates, newest first')
    .option('--state <state>', 'waiting, approved or rejected')
    .action(async ({ state }: { state?: string }) => {
      const query = new URLSearchParams(state === undefined ? {} : { state });
      const { items } = await client().get<{ items: Override[] }>(`/gate-overrides?${query}`);
      const row = (one: Override) => [
        ...[String(one.id), releaseLabel(one.release), one.hardwareClasses.join(' '), one.state, one.requestedBy],
        ...[one.decidedBy ?? '-', one.reason],
      ];
      print({ items }, () =>
        table(['ID', 'RELEASE', 'CLASSES', 'STATE', 'BY', 'DECIDED BY', 'REASON'], items.map(row)),
      );
    });
  for (const [verb, description] of [
    ['approve', 'approve an override as the second person'],
    ['reject', 'reject an override'],
  ]) {
    gate
      .command(`${verb} <id>`)
      .description(description)
      .option('--decision <text>', 'what you say to it')
      .action(async (id: string, { decision }: { decision?: string }) => {
        const path = `/gate-overrides/${encodeURIComponent(id)}/${verb}`;
        const done = await client().post<Override>(path, decision === undefined ? {} : { decision });
        print(done, () => text(done));
      });
  }
}

function certificateRow({ hardwareClass, policy, grantedAt, revoked }: Certificate): string[] {
  const state = revoked === null ? 'stands' : `revoked by ${revoked.by}: ${revoked.reason}`;
  return [hardwareClass, policy, grantedAt, state];
}

/** The first rule that did not pass. */
function firstReason({ classes }: Pick<GateVerdict, 'classes'>): string {
  const rules = classes.flatMap((one) => one.rules);
  return (
    (rules.find(({ verdict }) => verdict === 'fail') ?? rules.find(({ verdict }) => verdict !== 'pass'))?.why ?? '-'
  );
}
