import type { BenchmarkResult } from './benchmark-result.js';
import type { EvidenceFilter, EvidenceSource, GateRule } from './gate-policy.js';
import type { Requirement } from './gate-requirement.js';
import { metricValue } from './metrics.js';

/** A result and who vouches for it. `id` names it in verdicts: a hash, a file. */
export interface Evidence {
  id: string;
  source: EvidenceSource;
  result: BenchmarkResult;
}

/** Why a result that the rule looks at does not count. */
export type ExclusionCode =
  | 'EMULATED'
  | 'THROTTLED'
  | 'METRIC_ABSENT'
  | 'METRIC_IMPOSSIBLE'
  | 'TOO_FEW_SAMPLES'
  | 'SUPERSEDED';

export interface Exclusion {
  id: string;
  code: ExclusionCode;
}

/** A result that counts, with the rule's metric in it. */
export interface Measured {
  id: string;
  value: number;
  result: BenchmarkResult;
}

/** Results that say the same thing about the same kind of machine, newest first. */
export interface EvidenceGroup {
  /** For people: `arm64 rpi5-8g, run`. */
  platform: string;
  /** Champion and candidate meet by this. */
  key: string;
  measured: Measured[];
}

export function fits({ arch, hardwareClass, benchmark, source }: EvidenceFilter, evidence: Evidence): boolean {
  const { platform, benchmark: name } = evidence.result;
  if (arch !== undefined && !arch.includes(platform.arch)) return false;
  if (hardwareClass !== undefined && !hardwareClass.includes(platform.hardwareClass ?? '')) return false;
  if (benchmark !== undefined && !benchmark.includes(name)) return false;
  return source === undefined || source.includes(evidence.source);
}

/** Sorts out what a rule may judge by. Where a time is compared with the champion's, each processor stands for itself. */
export function selectEvidence(
  evidence: readonly Evidence[],
  filter: EvidenceFilter,
  rule: GateRule,
  { metric, limit }: Requirement,
): { groups: EvidenceGroup[]; excluded: Exclusion[] } {
  const excluded: Exclusion[] = [];
  const groups = new Map<string, EvidenceGroup>();
  const ordered = evidence.filter((one) => fits(filter, one)).sort(newestFirst);
  for (const { id, result } of ordered) {
    const value = metricValue(metric, result.metrics);
    const code = exclusion(result, value, rule, metric);
    if (code !== null || value === null) {
      excluded.push({ id, code: code ?? 'METRIC_ABSENT' });
      continue;
    }
    const { arch, hardwareClass, cpu, cores } = result.platform;
    const machine = limit.relative && metric.time ? [cpu, cores] : [];
    const key = JSON.stringify([arch, hardwareClass ?? null, result.benchmark, ...machine]);
    const platform = `${[arch, hardwareClass, ...machine.slice(0, 1)].filter((part) => part !== undefined).join(' ')}, ${result.benchmark}`;
    const group = groups.get(key) ?? { platform, key, measured: [] };
    group.measured.push({ id, value, result });
    groups.set(key, group);
  }
  return { groups: [...groups.values()].sort((a, b) => (a.key < b.key ? -1 : 1)), excluded };
}

function exclusion(
  result: BenchmarkResult,
  value: number | null,
  rule: GateRule,
  metric: Requirement['metric'],
): ExclusionCode | null {
  if (!Object.hasOwn(result.metrics, metric.name)) return 'METRIC_ABSENT';
  if (value === null) return 'METRIC_IMPOSSIBLE';
  if (metric.time && result.platform.emulated) return 'EMULATED';
  if (metric.time && result.throttled === true) return 'THROTTLED';
  return result.samples < rule.minSamples ? 'TOO_FEW_SAMPLES' : null;
}

/** By the moment of the measurement, then by id, so that the order never depends on how the results came in. */
function newestFirst(a: Evidence, b: Evidence): number {
  if (a.result.at !== b.result.at) return a.result.at < b.result.at ? 1 : -1;
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}
