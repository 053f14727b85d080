import { type Comparison, type ComparisonCode, compare, type Verdict } from './gate-comparison.js';
import { type Evidence, type EvidenceGroup, type Exclusion, selectEvidence } from './gate-evidence.js';
import { type EvidenceFilter, type GatePolicy, type GateRule, ruleName } from './gate-policy.js';
import { parseRequirement, printRequirement, type Requirement } from './gate-requirement.js';
import type { DeclaredMetric } from './metrics.js';

/** One rule as it was judged, with every input. */
export interface RuleVerdict {
  rule: string;
  /** The requirement in one spelling, units resolved: `latencyMs.p95 <= 1.05 * champion`. */
  require: string;
  metric: string;
  unit: string;
  verdict: Verdict;
  code: ComparisonCode | 'NO_EVIDENCE';
  /** One line for people. */
  why: string;
  comparisons: Comparison[];
  /** Results that the rule looks at and that do not count. */
  excluded: Exclusion[];
  championExcluded: Exclusion[];
}

/** What one kind of evidence says about the classes it certifies. */
export interface ClassVerdict {
  hardwareClasses: string[];
  verdict: Verdict;
  rules: RuleVerdict[];
  /** The figures that were judged, by metric: what a certificate says. */
  measured: Record<string, number>;
}

export interface GateVerdict {
  policy: string;
  /** `fail` where a class fails; `pass` where every class passes; else `inconclusive`: stop and ask. */
  verdict: Verdict;
  classes: ClassVerdict[];
}

/**
 * Judges the results of one release by a policy. Pure and deterministic: the same inputs give the same verdict everywhere.
 * No data, unknown or impossible values are inconclusive, never a pass.
 * @param evidence results of the release
 * @param champion results of the release it is held against; null: there is none
 * @throws RangeError for a policy that `parseGatePolicy` did not pass
 */
export function evaluateGate(
  policy: GatePolicy,
  evidence: readonly Evidence[],
  champion: readonly Evidence[] | null,
): GateVerdict {
  const classes = policy.certifies.map(({ evidence: filter, hardwareClasses }): ClassVerdict => {
    const rules = policy.rules.map((rule) => judgeRule(rule, rule.on ?? filter, evidence, champion, policy.metrics));
    return { hardwareClasses: [...hardwareClasses], verdict: joint(rules), rules, measured: figures(rules) };
  });
  return { policy: policy.name, verdict: joint(classes), classes };
}

function judgeRule(
  rule: GateRule,
  filter: EvidenceFilter,
  evidence: readonly Evidence[],
  champion: readonly Evidence[] | null,
  declared: Readonly<Record<string, DeclaredMetric>>,
): RuleVerdict {
  const parsed = parseRequirement(rule.require, declared);
  if (!parsed.ok) throw new RangeError(`${parsed.code}: ${parsed.detail}`);
  const { requirement } = parsed;
  const ours = selectEvidence(evidence, filter, rule, requirement);
  const theirs = champion === null ? null : selectEvidence(champion, filter, rule, requirement);
  const { groups, superseded } = rule.take === 'worst' ? split(ours.groups) : newest(ours.groups, rule);
  const opponent = (group: EvidenceGroup) =>
    theirs === null ? null : theirs.groups.find((other) => other.key === group.key);
  const comparisons = groups.map((group) => compare(group, opponent(group), rule, requirement));
  const decisive = pickDecisive(comparisons);
  const base = {
    rule: ruleName(rule),
    require: printRequirement(requirement),
    metric: requirement.metric.name,
    unit: requirement.metric.unit,
    comparisons,
    excluded: [...ours.excluded, ...superseded(comparisons)],
    championExcluded: theirs?.excluded ?? [],
  };
  if (decisive === undefined) {
    return { ...base, verdict: 'inconclusive', code: 'NO_EVIDENCE', why: noEvidence(ours.excluded, requirement) };
  }
  return { ...base, verdict: decisive.verdict, code: decisive.code, why: sentence(decisive, requirement, rule) };
}

/** Every result stands for itself. */
function split(groups: readonly EvidenceGroup[]) {
  const single = groups.flatMap((group) => group.measured.map((one) => ({ ...group, measured: [one] })));
  return { groups: single, superseded: (): Exclusion[] => [] };
}

function newest(groups: readonly EvidenceGroup[], rule: GateRule) {
  const superseded = (comparisons: readonly Comparison[]): Exclusion[] => {
    if (rule.take === 'median') return [];
    const used = new Set(comparisons.flatMap((comparison) => comparison.used));
    const left = groups.flatMap((group) => group.measured).filter((one) => !used.has(one.id));
    return left.map(({ id }) => ({ id, code: 'SUPERSEDED' }));
  };
  return { groups, superseded };
}

const RANK: Readonly<Record<Verdict, number>> = { fail: 0, inconclusive: 1, pass: 2 };

/** The worst of them; the first of equals. */
function pickDecisive(comparisons: readonly Comparison[]): Comparison | undefined {
  return [...comparisons].sort((a, b) => RANK[a.verdict] - RANK[b.verdict])[0];
}

/** Fail wins, then inconclusive. Nothing at all is no pass. */
function joint(parts: readonly { verdict: Verdict }[]): Verdict {
  if (parts.some(({ verdict }) => verdict === 'fail')) return 'fail';
  return parts.length > 0 && parts.every(({ verdict }) => verdict === 'pass') ? 'pass' : 'inconclusive';
}

/** Of several platforms the figure of the decisive one. */
function figures(rules: readonly RuleVerdict[]): Record<string, number> {
  const measured: Record<string, number> = {};
  for (const { metric, comparisons } of rules) {
    const decisive = pickDecisive(comparisons);
    if (decisive !== undefined) measured[metric] = decisive.value;
  }
  return measured;
}

function sentence(comparison: Comparison, { metric, operator }: Requirement, rule: GateRule): string {
  const { platform, value, champion, limit, interval, code } = comparison;
  const unit = metric.unit === 'share' || metric.unit === 'ratio' ? '' : ` ${metric.unit}`;
  const measured = `${metric.name} is ${short(value)}${unit} on ${platform}`;
  const against = champion === null ? '' : `, champion ${short(champion)}${unit}`;
  switch (code) {
    case 'HOLDS':
    case 'BROKEN':
    case 'INTERVAL_STRADDLES': {
      const range =
        interval === null
          ? ''
          : `; ${rule.confidence! * 100} % interval of the ${interval.of} ${short(interval.low)} to ${short(interval.high)} over ${interval.n}, ` +
            `wanted ${operator} ${short(interval.limit)}`;
      const wanted = interval === null ? `, wanted ${operator} ${short(limit!)}${unit}` : '';
      const end = code === 'INTERVAL_STRADDLES' ? ': it holds the limit, measure more' : '';
      return `${measured}${against}${wanted}${range}${end}`;
    }
    case 'NOT_ENOUGH_PAIRS':
      return `${measured}${against}; fewer than ${rule.minPairs} samples ${champion === null ? '' : 'of the same runs '}to say so with confidence`;
    case 'NO_CHAMPION':
      return `${measured}; there is no champion to hold it against (withoutChampion: pass would let a first release through)`;
    case 'NO_CHAMPION_ALLOWED':
      return `${measured}; there is no champion yet, which this rule lets pass`;
    case 'CHAMPION_UNMEASURED':
      return `${measured}; the champion has no such result from there: benchmark it too`;
    case 'LIMIT_UNKNOWN':
      return `${measured}${against}; no limit can be made of that`;
  }
}

function noEvidence(excluded: readonly Exclusion[], { metric }: Requirement): string {
  if (excluded.length === 0) return `no result for ${metric.name} from a platform that counts; post one`;
  const counts = new Map<string, number>();
  for (const { code } of excluded) counts.set(code, (counts.get(code) ?? 0) + 1);
  const list = [...counts].map(([code, count]) => `${count} ${code.toLowerCase().replaceAll('_', ' ')}`).join(', ');
  return `no result for ${metric.name} counts: ${list}`;
}

function short(value: number): string {
  return String(Number(value.toPrecision(5)));
}
