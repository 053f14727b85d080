import { unpairedDifference } from '@vigie/protocol';
import type { BoardFigures, Cohort } from './model.js';
import type { Comparison } from './spec.js';

export interface ComparisonVerdict {
  /** Null: the figures do not say. */
  winner: Cohort | null;
  text: string;
  inputs: Record<string, unknown>;
}

/**
 * Compares two cohorts on one metric. Each board's change against itself before is what is compared (its logarithm where both
 * are above zero), for the boards of the two cohorts differ; only when too few have figures of before, their plain values.
 * A release wins when the confidence interval of the difference leaves zero on one side.
 */
export function judgeComparison(comparison: Comparison, boards: readonly BoardFigures[]): ComparisonVerdict {
  const changes = split(boards, ({ before, after }) => {
    const [from, to] = [before?.[comparison.metric], after?.[comparison.metric]];
    return from !== undefined && to !== undefined && from > 0 && to > 0 ? Math.log(to / from) : null;
  });
  const values = split(boards, ({ after }) => after?.[comparison.metric] ?? null);
  const enough = ({ A, B }: Split) => Math.min(A.length, B.length) >= comparison.minDevices;
  const paired = enough(changes);
  const used = paired ? changes : values;
  const counts = `${used.A.length} and ${used.B.length} boards`;
  const base = { comparison, boards: { A: used.A.length, B: used.B.length }, paired };
  if (!enough(used)) {
    const text = `A and B: ${counts} have figures of ${comparison.metric}, ${comparison.minDevices} of each are needed`;
    return { winner: null, text, inputs: base };
  }
  const difference = unpairedDifference(used.B, used.A, comparison.confidence);
  const inputs = { ...base, difference };
  if (difference === null) return { winner: null, text: 'the figures allow no statement', inputs };
  const { low, high, estimate } = difference;
  const shown = paired
    ? `B / A = ${round(Math.exp(estimate))} (${round(Math.exp(low))} to ${round(Math.exp(high))})`
    : `B - A = ${round(estimate)} (${round(low)} to ${round(high)})`;
  const text = `${comparison.metric}: ${shown} at ${comparison.confidence * 100} % on ${counts}`;
  if (low <= 0 && high >= 0) return { winner: null, text: `${text}: no difference that can be told`, inputs };
  const winner = low > 0 === (comparison.better === 'higher') ? 'B' : 'A';
  return { winner, text: `${text}: ${winner} wins`, inputs: { ...inputs, winner } };
}

interface Split {
  A: number[];
  B: number[];
}

function split(boards: readonly BoardFigures[], value: (board: BoardFigures) => number | null): Split {
  const groups: Split = { A: [], B: [] };
  for (const board of boards) {
    const one = value(board);
    if (one !== null && Number.isFinite(one)) groups[board.cohort].push(one);
  }
  return groups;
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
