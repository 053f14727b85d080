import type { SwapReport } from '@vigie/protocol';
import { quantile } from './quantile.js';

/** One live result: number of its frame and the monotonic time it was done at, ms. */
export interface ResultMark {
  sequence: number;
  doneAt: number;
}

export interface SwapMarks {
  /** Results before the swap window, oldest first. */
  steady: readonly ResultMark[];
  /** Results in the swap window, oldest first. */
  window: readonly ResultMark[];
  /** When the desired state arrived, monotonic ms. */
  assignedAt: number;
  /** When the new model's first live result was done, monotonic ms. */
  firstResultAt: number;
}

/** What the swap did to the stream, from the numbers of the frames that were detected on: a gap is a missed frame. */
export function swapReport(marks: SwapMarks): SwapReport {
  const { steady, window } = marks;
  const before = steady.at(-1) ?? window[0];
  const last = window.at(-1);
  let framesMissed = 0;
  let longestGapMs = 0;
  if (before !== undefined && last !== undefined) {
    const detected = steady.length > 0 ? window.length : window.length - 1;
    const delivered = last.sequence - before.sequence;
    framesMissed = Math.max(0, Math.round(delivered - detected - delivered * dropRate(steady)));
    let previous = before.doneAt;
    for (const mark of window) {
      longestGapMs = Math.max(longestGapMs, mark.doneAt - previous);
      previous = mark.doneAt;
    }
  }
  return {
    framesMissed,
    longestGapMs,
    steadyGapP99Ms: quantile(gaps(steady), 0.99),
    durationMs: Math.max(0, marks.firstResultAt - marks.assignedAt),
  };
}

/** Share of delivered frames that nobody detected on, 0..1. */
function dropRate(marks: readonly ResultMark[]): number {
  if (marks.length < 2) return 0;
  const delivered = marks[marks.length - 1].sequence - marks[0].sequence;
  return delivered > 0 ? Math.max(0, 1 - (marks.length - 1) / delivered) : 0;
}

function gaps(marks: readonly ResultMark[]): number[] {
  return marks.slice(1).map((mark, i) => Math.max(0, mark.doneAt - marks[i].doneAt));
}
