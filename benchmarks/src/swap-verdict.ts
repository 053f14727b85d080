import { percentile } from './measure/percentiles.js';
import { commonTrend, type Trend } from './measure/trend.js';
import type { SwapRecord } from './swap-record.js';

/** Assignment to first live result, 95th percentile over all swaps, ms. */
export const MAX_DURATION_MS = 2000;
export const MAX_GAP_RATIO = 2;
/** The half core: its quota, processors' worth, and how much of it the board may use when nothing is swapped. */
export const QUOTA_CPUS = 0.5;
export const MAX_STEADY_SHARE = 0.7;
/** Swaps whose memory does not count: caches fill, heaps find their size. */
const MEMORY_WARM_UP = 10;
/** Fewer measurements say nothing about growth. */
const MEMORY_SAMPLES = 20;
/** Growth per swap that is told from noise, bytes: 100 swaps would add a twentieth of a board's memory. */
const MAX_GROWTH_BYTES = 256 * 1024;

/** What one swap must hold by itself; its duration counts in the percentile over all. */
export function swapFaults({ figures, disconnected, idsContinue, durationMs }: SwapRecord): string[] {
  const faults: string[] = [];
  if (figures.framesMissed > 0) faults.push(`${figures.framesMissed} frames missed`);
  if (!(figures.longestGapMs <= MAX_GAP_RATIO * figures.steadyGapP99Ms)) faults.push('gap over twice the steady p99');
  if (durationMs === null) faults.push('no frame of the new model');
  if (figures.sequenceResets > 0) faults.push('the stream started anew');
  faults.push(...disconnected);
  if (idsContinue === false) faults.push('track ids did not go on');
  return faults;
}

/** Share of the quota that the board uses when nothing is swapped: the median, of the model that needs more, 0..1. */
export function steadyShare(swaps: readonly SwapRecord[]): number {
  const models = [...new Set(swaps.map(({ steady }) => steady.precision))];
  const medians = models.map((model) =>
    percentile(
      swaps.filter(({ steady }) => steady.precision === model).map(({ steady }) => steady.cpus),
      0.5,
    ),
  );
  return Math.max(...medians) / QUOTA_CPUS;
}

/** Growth of the board's memory per swap, bytes; null when there are too few swaps to tell. */
export function memoryTrend(swaps: readonly SwapRecord[]): Trend | null {
  const samples = swaps
    .filter(({ number }) => number > MEMORY_WARM_UP)
    .map(({ run, number, steady, residentBytes }) => ({
      group: `${run} ${steady.precision}`,
      x: number,
      y: residentBytes,
    }));
  return samples.length < MEMORY_SAMPLES ? null : commonTrend(samples);
}

/** True growth: more than noise by twice its standard error, and more than a little. */
export function grows({ slope, standardError }: Trend): boolean {
  return slope > MAX_GROWTH_BYTES && slope > 2 * standardError;
}

export function durations(swaps: readonly SwapRecord[]): number[] {
  return swaps.map(({ durationMs }) => durationMs ?? Number.POSITIVE_INFINITY);
}

/** Limits that were missed over all swaps, each with by how much; empty: every one held. */
export function runFaults(swaps: readonly SwapRecord[], wanted: number, halfCore: boolean): string[] {
  const faults: string[] = [];
  if (swaps.length < wanted) faults.push(`only ${swaps.length} of ${wanted} swaps`);
  const broken = swaps.filter((swap) => swapFaults(swap).length > 0).length;
  if (broken > 0) faults.push(`${broken} of ${swaps.length} swaps disturbed the stream`);
  const p95 = percentile(durations(swaps), 0.95);
  if (!(p95 <= MAX_DURATION_MS)) faults.push(`active after ${p95.toFixed(0)} ms (p95); limit ${MAX_DURATION_MS} ms`);
  const share = steadyShare(swaps);
  if (halfCore && !(share <= MAX_STEADY_SHARE)) {
    faults.push(
      `steady CPU ${(share * 100).toFixed(0)} % of the quota; limit ${MAX_STEADY_SHARE * 100} %: lower --fps, or the machine is busy`,
    );
  }
  const trend = memoryTrend(swaps);
  if (trend !== null && grows(trend)) faults.push(`memory grows by ${kib(trend.slope)} KiB a swap`);
  return faults;
}

export function kib(bytes: number): string {
  return (bytes / 1024).toFixed(0);
}
