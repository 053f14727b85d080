import type { BenchmarkResult } from '@vigie/protocol';
import { describe, expect, it } from 'vitest';
import { markdownReport } from './report.js';

function result(benchmark: string, metrics: Record<string, number>, emulated = false): BenchmarkResult {
  return {
    schema: 'vigie.benchmark/1',
    benchmark,
    at: '2026-11-21T07:00:00.000Z',
    release: { name: 'person-detector', version: '1.1.0', digest: 'a'.repeat(64) },
    platform: {
      arch: 'arm64',
      cpu: 'a | b',
      cores: 4,
      node: '20.20.2',
      runtime: 'onnxruntime-node 1.30.0 cpu',
      emulated,
    },
    samples: 100,
    metrics,
  };
}

describe('markdownReport', () => {
  it('puts each benchmark in a table of its own', () => {
    const text = markdownReport([
      result('run', { 'latencyMs.p50': 12.345 }),
      result('pipeline', { ratio: 1.2345 }),
      result('run', {}),
    ]);
    expect(text.match(/^### /gm)).toHaveLength(2);
    expect(text).toContain('| person-detector 1.1.0 | arm64, a \\| b | 100 | 12.3 |');
    expect(text).toContain('| 1.23 |');
  });

  it('marks what was measured under emulation and shows what is missing', () => {
    expect(markdownReport([result('run', {}, true)])).toMatch(/\*\*emulated\*\* \| 100 \| – \|/);
  });

  it('shows every metric of a benchmark it does not know', () => {
    expect(markdownReport([result('other', { b: 2, a: 1 })])).toContain('| a | b |');
  });
});
