import type { BenchmarkResult } from '@vigie/protocol';
import { percentile } from './measure/percentiles.js';
import { benchmarkResult } from './measure/platform.js';
import { ms } from './progress.js';
import type { SwapRecord } from './swap-record.js';
import { durations, kib, MAX_DURATION_MS, memoryTrend, steadyShare, swapFaults } from './swap-verdict.js';

/** One swap in one line. */
export function describeSwap(swap: SwapRecord, of: number, done: number): string {
  const { figures, tracks, release, durationMs } = swap;
  const ids =
    tracks === null || tracks.before === 0 ? 'nobody there' : `${tracks.continued} of ${tracks.before} tracks went on`;
  const faults = swapFaults(swap);
  if (durationMs !== null && durationMs > MAX_DURATION_MS) faults.push('over 2 s');
  return (
    `swap ${done}/${of} to ${release.precision} ${release.version}: active after ${ms(durationMs ?? Number.NaN)}, ` +
    `committed after ${ms(swap.committedMs)}; ${figures.framesMissed} frames missed of ${figures.windowFrames}, ` +
    `longest gap ${ms(figures.longestGapMs)} (steady p99 ${ms(figures.steadyGapP99Ms)}); ${ids}; ` +
    `steady ${(swap.steady.cpus * 100).toFixed(0)} % of a core, ${(swap.residentBytes / 2 ** 20).toFixed(0)} MiB` +
    `${faults.length === 0 ? '' : ` — ${faults.join('; ')}`}`
  );
}

/** The gaps of all swaps, steady time beside swap windows, as a table for people. */
export function histogramLines(swaps: readonly SwapRecord[]): string[] {
  const bins = swaps[0].figures.histogram.map(({ upToMs }, index) => {
    const sum = (key: 'steady' | 'window'): number =>
      swaps.reduce((total, { figures }) => total + figures.histogram[index][key], 0);
    return {
      label: upToMs === null ? '  longer' : `≤ ${String(upToMs).padStart(4)}`,
      steady: sum('steady'),
      window: sum('window'),
    };
  });
  return [
    'gap between frames, ms      steady    around swaps',
    ...bins
      .filter(({ steady, window }) => steady + window > 0)
      .map(
        ({ label, steady, window }) =>
          `  ${label.padEnd(20)} ${String(steady).padStart(10)} ${String(window).padStart(15)}`,
      ),
  ];
}

/** The figures that the limits are about. */
export function summaryLines(swaps: readonly SwapRecord[], halfCore: boolean): string[] {
  const times = durations(swaps);
  const at = (share: number): string => ms(percentile(times, share));
  const ratios = swaps.map(({ figures }) => figures.longestGapMs / figures.steadyGapP99Ms);
  const trend = memoryTrend(swaps);
  return [
    `assignment to first live frame: p50 ${at(0.5)}, p95 ${at(0.95)}, longest ${at(1)}`,
    `longest gap over the steady p99: p50 ${percentile(ratios, 0.5).toFixed(2)}, largest ${percentile(ratios, 1).toFixed(2)}`,
    ...(halfCore ? [`steady CPU: ${(steadyShare(swaps) * 100).toFixed(0)} % of the quota`] : []),
    trend === null
      ? 'memory: too few swaps to tell growth from noise (30 in one run are needed)'
      : `memory: ${kib(trend.slope)} ± ${kib(2 * trend.standardError)} KiB a swap over ${trend.samples} swaps`,
  ];
}

export function swapResult(swaps: readonly SwapRecord[], halfCore: boolean): BenchmarkResult {
  const worst = (figure: (swap: SwapRecord) => number): number => Math.max(...swaps.map(figure));
  const sum = (figure: (swap: SwapRecord) => number): number => swaps.reduce((total, swap) => total + figure(swap), 0);
  const { name, version, digest } = swaps[swaps.length - 1].release;
  const times = durations(swaps);
  const trend = memoryTrend(swaps);
  const known = swaps.filter(({ throttledPeriods }) => throttledPeriods !== null);
  return benchmarkResult('swap', { name, version, digest }, swaps.length, {
    framesMissed: sum(({ figures }) => figures.framesMissed),
    'longestGapMs.max': worst(({ figures }) => figures.longestGapMs),
    'steadyGapP99Ms.max': worst(({ figures }) => figures.steadyGapP99Ms),
    'gapRatio.max': worst(({ figures }) => figures.longestGapMs / figures.steadyGapP99Ms),
    'durationMs.p50': percentile(times, 0.5),
    'durationMs.p95': percentile(times, 0.95),
    'durationMs.max': percentile(times, 1),
    'committedMs.max': worst(({ committedMs }) => committedMs),
    disconnected: sum(({ disconnected }) => disconnected.length),
    'tracks.continued': sum(({ tracks }) => tracks?.continued ?? 0),
    'tracks.switched': sum(({ tracks }) => tracks?.switched ?? 0),
    'tracks.lost': sum(({ tracks }) => tracks?.lost ?? 0),
    'swaps.held': swaps.filter((swap) => swapFaults(swap).length === 0 && (swap.durationMs ?? 1e9) <= MAX_DURATION_MS)
      .length,
    'steadyCpuShare.max': halfCore ? steadyShare(swaps) : Number.NaN,
    'memoryBytes.max': worst(({ residentBytes }) => residentBytes),
    'memoryGrowthBytes.perSwap': trend?.slope ?? Number.NaN,
    throttledPeriods: known.length === 0 ? Number.NaN : sum(({ throttledPeriods }) => throttledPeriods ?? 0),
    ...histogramMetrics(swaps),
  });
}

/** Counts of gaps by bin, so that the histogram can be drawn from the document. */
function histogramMetrics(swaps: readonly SwapRecord[]): Record<string, number> {
  const metrics: Record<string, number> = {};
  for (const [index, { upToMs }] of swaps[0].figures.histogram.entries()) {
    for (const key of ['steady', 'window'] as const) {
      const count = swaps.reduce((total, { figures }) => total + figures.histogram[index][key], 0);
      metrics[`gaps.${key}.${upToMs === null ? 'longer' : `upTo${upToMs}Ms`}`] = count;
    }
  }
  return metrics;
}
