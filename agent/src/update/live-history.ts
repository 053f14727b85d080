import type { SwapReport } from '@vigie/protocol';
import type { FrameResult } from '../ports.js';
import { type ResultMark, swapReport } from './swap-figures.js';
import { MIN_TIMES } from './trial-latency.js';

interface Mark extends ResultMark {
  digest: string;
  /** Time in the child, ms. */
  childMs: number;
  /** Another child worked at the same time. */
  overlapped: boolean;
}

/** Results kept to know what is steady: half a minute at 15 FPS. */
const KEPT = 450;
/** The swap window ends this long after the candidate's first live result, ms. */
const WINDOW_AFTER_MS = 2000;
const MAX_WINDOW = 4096;

/** Remembers the newest live results: the yardstick of a trial, and the marks of a swap. */
export class LiveHistory {
  private marks: Mark[] = [];
  private window: Mark[] | null = null;
  private steady: Mark[] = [];
  private firstResultAt: number | null = null;

  /** Takes one live result. On the frame path: no more than a push, and a trim now and then. */
  add(result: FrameResult): void {
    const { preprocess, inference, decode } = result.stagesMs;
    const mark: Mark = {
      sequence: result.sequence,
      doneAt: result.doneAt,
      digest: result.digest,
      childMs: preprocess + inference + decode,
      overlapped: result.overlapped === true,
    };
    this.marks.push(mark);
    if (this.marks.length >= KEPT * 2) this.marks = this.marks.slice(-KEPT);
    if (this.window === null || this.window.length >= MAX_WINDOW) return;
    if (this.firstResultAt !== null && mark.doneAt > this.firstResultAt + WINDOW_AFTER_MS) return;
    this.window.push(mark);
  }

  /**
   * Newest times in the child of one model, ms: of frames it had for itself, and from before the swap window, for in the window
   * the candidate loads and is tested beside it. Where those are too few to go by, from the window too.
   */
  childMsOf(digest: string): number[] {
    const times = (marks: readonly Mark[]) =>
      marks.filter((mark) => mark.digest === digest && !mark.overlapped).map((mark) => mark.childMs);
    const before = this.window === null ? [] : times(this.steady);
    return before.length >= MIN_TIMES ? before : times(this.marks.slice(-KEPT));
  }

  /** The swap begins to cost something: from here on the results belong to the window. */
  openWindow(): void {
    this.steady = this.marks.slice(-KEPT);
    this.window = [];
    this.firstResultAt = null;
  }

  /** The candidate's first live result came. */
  markFirstResult(at: number): void {
    this.firstResultAt = at;
  }

  /** Closes the window. Null when the candidate never had a live result. */
  closeWindow(assignedAt: number): SwapReport | null {
    const { window, firstResultAt } = this;
    this.window = null;
    if (window === null || firstResultAt === null) return null;
    return swapReport({ steady: this.steady, window, assignedAt, firstResultAt });
  }
}
