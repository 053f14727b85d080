import type { BenchmarkResult } from '@vigie/protocol';

/** The metrics worth a column, by benchmark; everything is in the JSON. */
const SHOWN: Record<string, readonly string[]> = {
  run: ['latencyMs.p50', 'latencyMs.p95', 'fps', 'memoryBytes'],
  pipeline: ['ratio', 'cpuMsPerFrame.board', 'cpuMsPerFrame.alone.session', 'cpuMsPerFrame.alone.ffmpeg', 'fps'],
  endtoend: ['fps', 'gapMs.p50', 'gapMs.p95', 'cpuMsPerFrame.board', 'cores'],
  fleet: [
    'connect.elapsedMs',
    'steady.telemetryPerSecond',
    'steady.telemetryToQueryableMs.p99',
    'steady.queryMs.devices.p95',
    'steady.server.cores.mean',
    'steady.server.memoryBytes.max',
    'rollout.elapsedMs',
    'rollout.wireBytes',
    'return.elapsedMs',
    'boards.signaturesEach.least',
    'boards.hashesEach.least',
    'errors',
  ],
  swap: ['framesMissed', 'longestGapMs.max', 'steadyGapP99Ms.max', 'durationMs.max', 'swaps.held'],
};

function cell(name: string, value: number | undefined): string {
  if (value === undefined) return '–';
  if (/memoryBytes|wireBytes/i.test(name)) return `${Math.round(value / 1048576)} MiB`;
  return Number.isInteger(value) ? String(value) : value.toFixed(Math.abs(value) < 10 ? 2 : 1);
}

function row(cells: readonly string[]): string {
  return `| ${cells.map((text) => text.replaceAll('|', '\\|')).join(' | ')} |`;
}

/** One Markdown table per benchmark, in the order of first appearance. Results under emulation are marked. */
export function markdownReport(results: readonly BenchmarkResult[]): string {
  const names = [...new Set(results.map((result) => result.benchmark))];
  return names
    .map((name) => {
      const mine = results.filter((result) => result.benchmark === name);
      const columns = SHOWN[name] ?? [...new Set(mine.flatMap((result) => Object.keys(result.metrics)))].sort();
      const lines = mine.map(({ release, platform, samples, metrics }) =>
        row([
          release === null ? '–' : `${release.name} ${release.version}`,
          `${platform.arch}, ${platform.cpu}${platform.emulated ? ', **emulated**' : ''}`,
          String(samples),
          ...columns.map((column) => cell(column, metrics[column])),
        ]),
      );
      const head = ['release', 'platform', 'samples', ...columns];
      return [`### ${name}`, '', row(head), row(head.map(() => '---')), ...lines, ''].join('\n');
    })
    .join('\n');
}
