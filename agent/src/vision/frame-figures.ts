import type { FrameResult } from '../ports.js';
import { RateMeter, SampleWindow } from './statistics.js';

const RATE_WINDOW_MS = 5000;
const LATENCY_FRAMES = 300;

/** Rate and latency of the newest frames, for pages and pictures. */
export class FrameFigures {
  private readonly rate = new RateMeter(RATE_WINDOW_MS, 1024);
  private readonly latency = new SampleWindow(LATENCY_FRAMES);
  private count = 0;

  get processed(): number {
    return this.count;
  }

  add({ capturedAt, doneAt }: FrameResult): void {
    this.count += 1;
    this.rate.mark(doneAt);
    this.latency.add(doneAt - capturedAt);
  }

  /** Frames detected on per second at `nowMs` (monotonic). */
  fps(nowMs: number): number {
    return this.rate.rate(nowMs);
  }

  /** From a frame's arrival to its result, ms; null before the first. */
  latencyMs(): { p50: number; p95: number } | null {
    const percentiles = this.latency.percentiles();
    return percentiles === null ? null : { p50: percentiles.p50, p95: percentiles.p95 };
  }
}
