import { percentile } from './measure/percentiles.js';

/** One frame as a client outside the agent saw it arrive. */
export interface FrameArrival {
  /** The camera's frame number; a gap is a frame that nobody detected on, or that never reached this client. */
  sequence: number;
  /** Monotonic time of the client, ms. */
  arrivalMs: number;
  /** Digest of the model that detected on it. */
  digest: string;
}

/** From the assignment to the end of what the swap may have disturbed, client's monotonic ms. */
export interface SwapWindow {
  startMs: number;
  endMs: number;
}

export interface SwapFigures {
  /** Frames missing in the window, less what the steady drop rate before it explains. */
  framesMissed: number;
  /** Frames missing in the window, whatever the cause. */
  framesMissing: number;
  /** Share of frames missing before the window, 0..1. */
  steadyDropRate: number;
  /** Longest time without a frame that touches the window, ms. */
  longestGapMs: number;
  /** 99th percentile and maximum of the gap before the window, ms. */
  steadyGapP99Ms: number;
  steadyGapMaxMs: number;
  /** Frames before and in the window. */
  steadyFrames: number;
  windowFrames: number;
  /** How often the sequence went backwards: the stream started anew. */
  sequenceResets: number;
  /** Gaps that touch the window by length: `upToMs` is the upper bound of a bin, the last one is open (null). */
  histogram: { upToMs: number | null; steady: number; window: number }[];
}

/** The window ends when both have passed after the commit. */
export const AFTER_COMMIT_MS = 2000;
export const AFTER_COMMIT_FRAMES = 20;

const BINS_MS = [10, 20, 50, 80, 100, 120, 150, 200, 300, 500, 1000];

/** The swap window: from the assignment until 2 s and 20 frames after the commit; null while these have not arrived yet. */
export function swapWindow(
  arrivals: readonly FrameArrival[],
  assignedMs: number,
  committedMs: number,
): SwapWindow | null {
  const after = arrivals.filter((frame) => frame.arrivalMs > committedMs);
  const twentieth = after[AFTER_COMMIT_FRAMES - 1];
  if (twentieth === undefined) return null;
  const endMs = Math.max(committedMs + AFTER_COMMIT_MS, twentieth.arrivalMs);
  return after[after.length - 1].arrivalMs >= endMs ? { startMs: assignedMs, endMs } : null;
}

interface Gap {
  fromMs: number;
  toMs: number;
  missing: number;
  reset: boolean;
}

function gapsOf(arrivals: readonly FrameArrival[]): Gap[] {
  const gaps: Gap[] = [];
  for (let index = 1; index < arrivals.length; index += 1) {
    const [before, after] = [arrivals[index - 1], arrivals[index]];
    const step = after.sequence - before.sequence;
    gaps.push({
      fromMs: before.arrivalMs,
      toMs: after.arrivalMs,
      missing: Math.max(0, step - 1),
      reset: step < 0,
    });
  }
  return gaps;
}

function binOf(gapMs: number): number {
  const bin = BINS_MS.findIndex((upToMs) => gapMs <= upToMs);
  return bin < 0 ? BINS_MS.length : bin;
}

/**
 * What a swap did to the stream, counted from frame sequence numbers and arrival times only.
 * `arrivals` in order of arrival, from the steady time before the window to the first frame after it; a stream that
 * stops inside the window counts as a gap up to the window's end.
 */
export function swapFigures(arrivals: readonly FrameArrival[], window: SwapWindow): SwapFigures {
  const gaps = gapsOf(arrivals);
  const steady = gaps.filter((gap) => gap.toMs <= window.startMs);
  const disturbed = gaps.filter((gap) => gap.toMs > window.startMs && gap.fromMs < window.endMs);
  const last = arrivals.at(-1);
  const lengths = disturbed.map((gap) => gap.toMs - gap.fromMs);
  if (last !== undefined && last.arrivalMs < window.endMs) lengths.push(window.endMs - last.arrivalMs);
  const steadyLengths = steady.map((gap) => gap.toMs - gap.fromMs);

  const count = (some: readonly Gap[]): number => some.reduce((sum, gap) => sum + gap.missing, 0);
  const steadyMissing = count(steady);
  const steadyDropRate = steadyMissing === 0 ? 0 : steadyMissing / (steadyMissing + steady.length);
  const framesMissing = count(disturbed);
  const explained = steadyDropRate * (framesMissing + disturbed.length);

  const histogram = [...BINS_MS, null].map((upToMs) => ({ upToMs, steady: 0, window: 0 }));
  for (const length of steadyLengths) histogram[binOf(length)].steady += 1;
  for (const length of lengths) histogram[binOf(length)].window += 1;

  return {
    // Rounded up: a half-explained missing frame is a missing frame.
    framesMissed: Math.max(0, Math.ceil(framesMissing - explained - 1e-9)),
    framesMissing,
    steadyDropRate,
    longestGapMs: lengths.length === 0 ? Number.NaN : Math.max(...lengths),
    steadyGapP99Ms: percentile(steadyLengths, 0.99),
    steadyGapMaxMs: steadyLengths.length === 0 ? Number.NaN : Math.max(...steadyLengths),
    steadyFrames: steadyLengths.length,
    windowFrames: disturbed.length,
    sequenceResets: gaps.filter((gap) => gap.reset).length,
    histogram,
  };
}
