import { createRequire } from 'node:module';
import { hostPlatform } from '@vigie/models/evaluate/host-platform';
import type { BenchmarkResult, ReleaseReference } from '@vigie/protocol';

/** Where a figure was measured, as every result says it. */
export function describePlatform(): BenchmarkResult['platform'] {
  const runtime = createRequire(import.meta.url)('onnxruntime-node/package.json') as { version: string };
  return hostPlatform(`onnxruntime-node ${runtime.version} cpu`);
}

/** A result document of protocol's BenchmarkResult; metrics without a value are left out rather than made up. */
export function benchmarkResult(
  benchmark: string,
  release: ReleaseReference | null,
  samples: number,
  metrics: Record<string, number>,
  samplesOf: Pick<BenchmarkResult, 'series' | 'pairing'> = {},
): BenchmarkResult {
  return {
    schema: 'vigie.benchmark/1',
    benchmark,
    at: new Date().toISOString(),
    release,
    platform: describePlatform(),
    samples,
    metrics: Object.fromEntries(
      Object.entries(metrics)
        .filter(([, value]) => Number.isFinite(value))
        .map(([name, value]) => [name, Math.round(value * 1e5) / 1e5]),
    ),
    ...samplesOf,
  };
}
