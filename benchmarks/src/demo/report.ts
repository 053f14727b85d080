/** One thing that had to come true. */
export interface Check {
  name: string;
  ok: boolean;
  value: string | number | boolean | null;
}

/** The document of `npm run demo -- --once --json`. Figures that were never reached are null. */
export interface DemoReport {
  ok: boolean;
  board: { fps: number | null; latencyMs: { p50: number | null; p95: number | null } };
  /** Tracks summed over the frames seen on `WS /live`. */
  detections: number;
  /** Distinct events the server has stored a start of. */
  events: number;
  mjpegFrames: number;
  releases: { name: string; version: string; precision: string; bytes: number }[];
  /** Releases that were measured and judged in this run. */
  gates: {
    release: string;
    policy: string;
    /** What the server said when the board should get it before anything had measured it. */
    refused: string;
    verdict: string;
    metrics: Record<string, number>;
  }[];
  swap: {
    framesMissed: number | null;
    longestGapMs: number | null;
    steadyGapP99Ms: number | null;
    durationMs: number | null;
  };
  checks: Check[];
  /** Why the story ended early; absent when it did not. */
  error?: string;
}

export function emptyReport(): DemoReport {
  return {
    ok: false,
    board: { fps: null, latencyMs: { p50: null, p95: null } },
    detections: 0,
    events: 0,
    mjpegFrames: 0,
    releases: [],
    gates: [],
    swap: { framesMissed: null, longestGapMs: null, steadyGapP99Ms: null, durationMs: null },
    checks: [],
  };
}

/** A figure with one decimal; JSON has no NaN, so a missing one is null. */
export function rounded(value: number): number | null {
  return Number.isFinite(value) ? Math.round(value * 10) / 10 : null;
}
