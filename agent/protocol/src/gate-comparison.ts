import type { EvidenceGroup, Measured } from './gate-evidence.js';
import type { GateRule } from './gate-policy.js';
import { holds, limitFor, type Requirement } from './gate-requirement.js';
import { type Interval, meanInterval, type Pair, pairedDifference, pairedRatio, percentile } from './statistics.js';
import { bootstrapInterval, pairedStatistic } from './statistics-resampling.js';

export type Verdict = 'pass' | 'fail' | 'inconclusive';

/** Why a comparison came out as it did. */
export type ComparisonCode =
  | 'HOLDS'
  | 'BROKEN'
  | 'INTERVAL_STRADDLES'
  | 'NOT_ENOUGH_PAIRS'
  | 'NO_CHAMPION'
  | 'NO_CHAMPION_ALLOWED'
  | 'CHAMPION_UNMEASURED'
  | 'LIMIT_UNKNOWN';

/** One rule on one platform, with everything it was judged by. */
export interface Comparison {
  verdict: Verdict;
  code: ComparisonCode;
  platform: string;
  /** The candidate's figure, in the metric's unit. */
  value: number;
  champion: number | null;
  /** What `value` was held against; null where it is not known. */
  limit: number | null;
  /** With a confidence: `of` the value, of candidate / champion, or of candidate - factor × champion. */
  interval: (Interval & { of: 'value' | 'ratio' | 'difference'; limit: number }) | null;
  /** Ids of the results that were used. */
  used: string[];
  championUsed: string[];
}

/** Judges one group of results. `champion`: null where there is no champion, undefined where it was not measured there. */
export function compare(
  group: EvidenceGroup,
  champion: EvidenceGroup | null | undefined,
  rule: GateRule,
  requirement: Requirement,
): Comparison {
  const taken = take(group.measured, rule);
  const value = figure(taken);
  const base = { platform: group.platform, value, champion: null, limit: null, interval: null };
  const ids = { used: taken.map((one) => one.id), championUsed: [] as string[] };
  if (!requirement.limit.relative) {
    const limit = requirement.limit.offset;
    if (rule.confidence === undefined) return { ...judge(value, limit, requirement), ...base, limit, ...ids };
    const interval = ownInterval(taken, rule, requirement, rule.confidence);
    return {
      ...judgeInterval(interval, limit, requirement),
      ...base,
      limit,
      interval: withWhat(interval, 'value', limit),
      ...ids,
    };
  }
  if (champion === null) {
    const allowed = rule.withoutChampion === 'pass';
    return allowed
      ? { verdict: 'pass', code: 'NO_CHAMPION_ALLOWED', ...base, ...ids }
      : { verdict: 'inconclusive', code: 'NO_CHAMPION', ...base, ...ids };
  }
  if (champion === undefined) return { verdict: 'inconclusive', code: 'CHAMPION_UNMEASURED', ...base, ...ids };
  const theirs = take(champion.measured, rule.take === 'worst' ? { ...rule, take: 'newest' } : rule);
  const reference = figure(theirs);
  const limit = limitFor(requirement, reference);
  const told = { ...base, champion: reference, limit, used: ids.used, championUsed: theirs.map((one) => one.id) };
  if (limit === null) return { verdict: 'inconclusive', code: 'LIMIT_UNKNOWN', ...told };
  if (rule.confidence === undefined) return { ...judge(value, limit, requirement), ...told };
  const paired = pairedInterval(group.measured, champion.measured, rule, requirement, rule.confidence);
  if (paired === null) return { verdict: 'inconclusive', code: 'NOT_ENOUGH_PAIRS', ...told };
  const { interval, of, against, used, championUsed } = paired;
  return {
    ...judgeInterval(interval, against, requirement),
    ...told,
    interval: withWhat(interval, of, against),
    used,
    championUsed,
  };
}

/** The results of a group that count; each one of its own where the worst does (see `selectGroups`). */
function take(measured: readonly Measured[], rule: GateRule): readonly Measured[] {
  return rule.take === 'median' ? measured : measured.slice(0, 1);
}

function figure(taken: readonly Measured[]): number {
  return percentile(
    taken.map((one) => one.value),
    0.5,
  );
}

function judge(value: number, limit: number, { operator }: Requirement): Pick<Comparison, 'verdict' | 'code'> {
  return holds(value, operator, limit) ? { verdict: 'pass', code: 'HOLDS' } : { verdict: 'fail', code: 'BROKEN' };
}

/** Only an interval that lies wholly on one side of the limit says something. */
function judgeInterval(
  interval: Interval | null,
  limit: number,
  { operator }: Requirement,
): Pick<Comparison, 'verdict' | 'code'> {
  if (interval === null) return { verdict: 'inconclusive', code: 'NOT_ENOUGH_PAIRS' };
  const low = holds(interval.low, operator, limit);
  const high = holds(interval.high, operator, limit);
  if (low && high) return { verdict: 'pass', code: 'HOLDS' };
  if (!low && !high) return { verdict: 'fail', code: 'BROKEN' };
  return { verdict: 'inconclusive', code: 'INTERVAL_STRADDLES' };
}

function ownInterval(
  taken: readonly Measured[],
  { minPairs, take: how }: GateRule,
  { metric }: Requirement,
  confidence: number,
): Interval | null {
  const series = how === 'median' ? undefined : taken[0].result.series?.[metric.series];
  if (series !== undefined)
    return series.length < minPairs ? null : bootstrapInterval(series, metric.statistic, confidence);
  const values = taken.map((one) => one.value);
  return values.length < minPairs ? null : meanInterval(values, confidence);
}

interface PairedInterval {
  interval: Interval;
  of: 'ratio' | 'difference';
  against: number;
  used: string[];
  championUsed: string[];
}

/** Sample by sample where both newest results carry series of the same frames; otherwise result by result of the same runs. */
function pairedInterval(
  ours: readonly Measured[],
  theirs: readonly Measured[],
  { minPairs }: GateRule,
  { metric, limit }: Requirement,
  confidence: number,
): PairedInterval | null {
  if (!limit.relative) return null;
  const { factor, offset } = limit;
  const of = offset === 0 ? 'ratio' : 'difference';
  const against = offset === 0 ? factor : offset;
  const done = (interval: Interval | null, used: string[], championUsed: string[]) =>
    interval === null ? null : ({ interval, of, against, used, championUsed } as const);
  const [first, second] = [ours[0], theirs[0]];
  const pairs = samplePairs(first, second, metric.series);
  if (pairs !== null) {
    if (pairs.length < minPairs) return null;
    const combine = (c: number, r: number) => (offset === 0 ? (r > 0 ? c / r : Number.NaN) : c - factor * r);
    return done(pairedStatistic(pairs, metric.statistic, confidence, combine), [first.id], [second.id]);
  }
  const runs = resultPairs(ours, theirs);
  if (runs.length < minPairs) return null;
  const values = runs.map(([a, b]) => ({ candidate: a.value, reference: b.value }));
  const interval =
    offset === 0
      ? pairedRatio(values, confidence)
      : pairedDifference(
          values.map(({ candidate, reference }) => ({ candidate, reference: factor * reference })),
          confidence,
        );
  return done(
    interval,
    runs.map(([a]) => a.id),
    runs.map(([, b]) => b.id),
  );
}

function samplePairs(ours: Measured, theirs: Measured, name: string): Pair[] | null {
  const { pairing } = ours.result;
  const candidate = ours.result.series?.[name];
  const reference = theirs.result.series?.[name];
  if (pairing === undefined || pairing !== theirs.result.pairing) return null;
  if (candidate === undefined || reference === undefined || candidate.length !== reference.length) return null;
  return candidate.map((sample, index) => ({ candidate: sample, reference: reference[index] }));
}

/** Newest result of each run that both took part in. */
function resultPairs(ours: readonly Measured[], theirs: readonly Measured[]): [Measured, Measured][] {
  const runs = new Map<string, Measured>();
  for (const one of theirs) {
    const { pairing } = one.result;
    if (pairing !== undefined && !runs.has(pairing)) runs.set(pairing, one);
  }
  const pairs: [Measured, Measured][] = [];
  for (const one of ours) {
    const other = one.result.pairing === undefined ? undefined : runs.get(one.result.pairing);
    if (other === undefined || one.result.pairing === undefined) continue;
    runs.delete(one.result.pairing);
    pairs.push([one, other]);
  }
  return pairs;
}

function withWhat(
  interval: Interval | null,
  of: PairedInterval['of'] | 'value',
  limit: number,
): Comparison['interval'] {
  return interval === null ? null : { ...interval, of, limit };
}
