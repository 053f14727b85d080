import { type Interval, meanInterval, pairedRatio } from '@vigie/protocol';
import type { WaveVerdict } from './judge.js';
import type { BoardFigures, Cohort } from './model.js';
import type { LiveGate } from './spec.js';

/** What a gate found: stored with the decision. */
export interface GateResult {
  gate: LiveGate;
  /** Null: of all boards; else of those that got this release of two. */
  cohort: Cohort | null;
  verdict: 'pass' | 'fail' | 'inconclusive';
  /** Boards with figures. */
  boards: number;
  interval: Interval | null;
  text: string;
}

/**
 * Judges a wave by what its boards measured. A gate fails when even the favourable end of the confidence interval breaks its
 * bound, passes when the whole interval keeps it, and says nothing in between: then an operator is asked. Ratios are paired,
 * each board against itself before (`pairedRatio`), so that unlike boards do not blur them. `apart`: two releases run, and each
 * one's boards must hold by themselves; together a good release would hide a bad one.
 */
export function judgeGates(
  gates: readonly LiveGate[],
  boards: readonly BoardFigures[],
  apart = false,
): { results: GateResult[]; verdict: WaveVerdict } {
  const cohorts = (['A', 'B'] as const).filter((cohort) => apart && boards.some((board) => board.cohort === cohort));
  const groups = cohorts.length === 0 ? [null] : cohorts;
  const results = gates.flatMap((gate) =>
    groups.map((cohort) =>
      judgeGate(gate, cohort, cohort === null ? boards : boards.filter((board) => board.cohort === cohort)),
    ),
  );
  const failed = results.find((result) => result.verdict === 'fail');
  if (failed !== undefined)
    return { results, verdict: { kind: 'breach', reason: { code: 'GATE_FAILED', text: failed.text } } };
  const open = results.find((result) => result.verdict === 'inconclusive');
  if (open !== undefined)
    return { results, verdict: { kind: 'inconclusive', reason: { code: 'GATE_INCONCLUSIVE', text: open.text } } };
  return { results, verdict: { kind: 'settled' } };
}

function judgeGate(gate: LiveGate, cohort: Cohort | null, boards: readonly BoardFigures[]): GateResult {
  const samples = boards.flatMap(({ before, after }) => {
    const candidate = after?.[gate.metric];
    const reference = before?.[gate.metric];
    if (
      candidate === undefined ||
      (gate.of === 'ratio' && !(reference !== undefined && reference > 0 && candidate > 0))
    )
      return [];
    return [{ candidate, reference: reference ?? 0 }];
  });
  const name = `${cohort === null ? '' : `release ${cohort}: `}${gate.metric}${gate.of === 'ratio' ? ' after / before' : ''}`;
  const answer = (verdict: GateResult['verdict'], interval: Interval | null, what: string): GateResult => ({
    ...{ gate, cohort, verdict, boards: samples.length, interval },
    text: `${name}: ${what}`,
  });
  if (samples.length < gate.minDevices)
    return answer('inconclusive', null, `${samples.length} boards have figures, ${gate.minDevices} are needed`);
  const interval =
    gate.of === 'ratio'
      ? pairedRatio(samples, gate.confidence)
      : meanInterval(
          samples.map(({ candidate }) => candidate),
          gate.confidence,
        );
  if (interval === null) return judgeSingle(gate, samples, answer);
  const { low, high, estimate } = interval;
  const found = `${round(estimate)} (${round(low)} to ${round(high)} at ${gate.confidence * 100} %) on ${samples.length} boards, ${bounds(gate)}`;
  const { min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY } = gate;
  if (high < min || low > max) return answer('fail', interval, found);
  return answer(low >= min && high <= max ? 'pass' : 'inconclusive', interval, found);
}

/** One board alone has no scatter: it can pass only where the policy asks for no more than one. */
function judgeSingle(
  gate: LiveGate,
  samples: readonly { candidate: number; reference: number }[],
  answer: (verdict: GateResult['verdict'], interval: null, what: string) => GateResult,
): GateResult {
  if (samples.length !== 1) return answer('inconclusive', null, 'the figures allow no statement');
  const [{ candidate, reference }] = samples;
  const value = gate.of === 'ratio' ? candidate / reference : candidate;
  const { min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY } = gate;
  return answer(value >= min && value <= max ? 'pass' : 'fail', null, `${round(value)} on one board, ${bounds(gate)}`);
}

function bounds({ min, max }: LiveGate): string {
  return [min === undefined ? [] : [`at least ${min}`], max === undefined ? [] : [`at most ${max}`]]
    .flat()
    .join(' and ');
}

function round(value: number): string {
  return String(Math.round(value * 1000) / 1000);
}
