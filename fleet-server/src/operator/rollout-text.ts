import { releaseLabel } from './release-name.js';
import { printable, table } from './table.js';

interface Release {
  name: string;
  version: string;
}

export interface RolloutSummary {
  id: number;
  title: string;
  release: Release;
  state: string;
  phase: string;
  wave: number;
  waves: number;
  reason: { code: string; text: string } | null;
  createdAt: string;
  totals: Record<string, number>;
}

export interface RolloutDetail extends RolloutSummary {
  stages: {
    name: string;
    state: string;
    boards: number;
    reached: number;
    succeeded: number;
    failed: number;
    atWork: number;
    waiting: number;
    unreachable: number;
    deferred: number;
    outside: number;
  }[];
  reasons: { wave: string; state: string; code: string; count: number; example: string | null }[];
}

export interface Preview {
  waves: { name: string; devices: string[] }[];
  notCertified: { device: string; hardwareClass: string }[];
  other: string[];
}

interface Range {
  low: number;
  likely: number;
  high: number;
}

export interface RehearsalView {
  samples: number;
  waves: { name: string; boards: number; online: number; seconds: Range | null }[];
  seconds: Range | null;
  bytes: Range;
  successShare: number | null;
  stragglers: { device: string; wave: string; reasons: string[] }[];
  notes: string[];
}

/** States in which a rollout does nothing more by itself. */
export const DONE = ['succeeded', 'turned-back', 'failed', 'aborted', 'expired'];

export function listText(items: readonly RolloutSummary[]): string {
  const rows = items.map((one) => [
    String(one.id),
    releaseLabel(one.release),
    one.state,
    DONE.includes(one.state) ? '-' : `${Math.min(one.wave + 1, one.waves)}/${one.waves} ${one.phase}`,
    String(one.totals.succeeded ?? 0),
    String(one.totals.failed ?? 0),
    String(Object.values(one.totals).reduce((sum, count) => sum + count, 0)),
    one.title || one.reason?.text || '-',
  ]);
  return table(['ROLLOUT', 'RELEASE', 'STATE', 'WAVE', 'SUCCEEDED', 'FAILED', 'BOARDS', 'ABOUT'], rows);
}

export function detailText(one: RolloutDetail): string {
  const head = [
    `rollout ${one.id} of ${releaseLabel(one.release)}: ${one.state} (${one.phase})`,
    ...(one.reason === null ? [] : [`why: ${one.reason.code}: ${one.reason.text}`]),
  ];
  const waves = table(
    [
      'WAVE',
      'STATE',
      'BOARDS',
      'REACHED',
      'SUCCEEDED',
      'FAILED',
      'AT WORK',
      'WAITING',
      'UNREACHABLE',
      'DEFERRED',
      'OUTSIDE',
    ],
    one.stages.map((wave) => [
      ...[wave.name, wave.state],
      ...[wave.boards, wave.reached, wave.succeeded, wave.failed, wave.atWork, wave.waiting].map(String),
      ...[wave.unreachable, wave.deferred, wave.outside].map(String),
    ]),
  );
  const reasons = one.reasons.map(({ wave, state, code, count, example }) => [
    ...[code, String(count), state, wave],
    example ?? '-',
  ]);
  const why = reasons.length === 0 ? '' : `\n${table(['CODE', 'BOARDS', 'STATE', 'WAVE', 'SUCH AS'], reasons)}`;
  return `${head.map(printable).join('\n')}\n${waves}${why}`;
}

export function previewText({ waves, notCertified, other }: Preview): string {
  const rows = waves.map(({ name, devices }) => [name, String(devices.length), shortened(devices)]);
  const without = notCertified.map(({ device, hardwareClass }) => `${device} (${hardwareClass})`);
  return [
    table(['WAVE', 'BOARDS', 'WHICH'], rows),
    ...(other.length === 0 ? [] : [`the other release goes to ${other.length} of them\n`]),
    ...(without.length === 0 ? [] : [`not certified, never offered: ${printable(shortened(without))}\n`]),
  ].join('');
}

export function rehearsalText(found: RehearsalView): string {
  const rows = found.waves.map(({ name, boards, online, seconds }) => [
    name,
    String(boards),
    String(online),
    times(seconds),
  ]);
  return [
    table(['WAVE', 'BOARDS', 'ONLINE', 'TIME'], rows),
    `in all: ${times(found.seconds)}, ${found.bytes.likely} bytes (at most ${found.bytes.high})\n`,
    `past installs: ${found.samples}${found.successShare === null ? '' : `, ${Math.round(found.successShare * 100)} % succeeded`}\n`,
    ...found.stragglers.map(({ device, wave, reasons }) => `straggler ${device} (${wave}): ${reasons.join('; ')}\n`),
    ...found.notes.map((note) => `note: ${note}\n`),
  ].join('');
}

function times(range: Range | null): string {
  if (range === null) return 'not known';
  return `${Math.round(range.likely)} s (${Math.round(range.low)} to ${Math.round(range.high)})`;
}

function shortened(names: readonly string[]): string {
  const shown = names.slice(0, 8).join(', ');
  return names.length > 8 ? `${shown} and ${names.length - 8} more` : shown;
}
