import type { BenchmarkResult } from '@vigie/protocol';
import { describe, expect, it } from 'vitest';
import { type ComparableRelease, compareReleases, figuresOf } from './comparison.js';
import { comparisonCsv, comparisonMarkdown, csvCell, markdownCell } from './comparison-report.js';

const result = (
  changes: Partial<Omit<BenchmarkResult, 'platform'>> & { platform?: Partial<BenchmarkResult['platform']> } = {},
) =>
  ({
    ...{ schema: 'vigie.benchmark/1', benchmark: 'run', at: '2026-11-21T07:00:00.000Z', release: null, samples: 300 },
    metrics: { 'latencyMs.p95': 80, fps: 12 },
    ...changes,
    platform: {
      ...{ arch: 'arm64', cpu: 'Cortex-A76', cores: 4, node: 'v20', runtime: 'onnx', emulated: false },
      ...changes.platform,
    },
  }) as BenchmarkResult;

const release = (changes: Partial<ComparableRelease> = {}): ComparableRelease => ({
  ...{ name: 'm', version: '1.0.0', digest: 'a'.repeat(64), precision: 'fp32', state: 'released', bytes: 1000 },
  descriptor: { labels: ['person', 'dog'], files: [{ path: 'model.onnx', size: 900 }] },
  manifest: {
    ...{ task: 'detect', license: 'MIT', engine: 'onnx', modelFile: 'model.onnx', provenance: {} },
    input: { width: 320, height: 320 },
    metrics: [{ dataset: 'coco', ap50: 0.5 }],
  },
  results: [result()],
  ...changes,
});
const int8 = release({
  ...{ version: '2.0.0', precision: 'int8', bytes: 400 },
  descriptor: { labels: ['person', 'cat'], files: [{ path: 'model.onnx', size: 300 }] },
  results: [result({ metrics: { 'latencyMs.p95': 40, fps: 20 } })],
});

describe('compareReleases', () => {
  it('puts figures of the same kind side by side and says which is better', () => {
    const { rows, labels } = compareReleases(release(), int8);
    const row = (metric: string) => rows.find((one) => one.metric === metric);
    expect(row('packageBytes')).toEqual({
      ...{ group: 'package', metric: 'packageBytes', unit: 'bytes', a: 1000, b: 400 },
      ...{ difference: -600, ratio: 0.4, better: 'b' },
    });
    expect(row('modelBytes')).toMatchObject({ a: 900, b: 300 });
    expect(row('ap50')).toMatchObject({ group: 'manifest: dataset coco', a: 0.5, b: 0.5, better: 'same' });
    expect(row('latencyMs.p95')).toMatchObject({ group: 'arm64, run', unit: 'ms', ratio: 0.5, better: 'b' });
    expect(row('fps')).toMatchObject({ difference: 8, better: 'b' });
    expect(row('labels')?.better).toBe('same');
    expect(labels).toEqual({ onlyA: ['dog'], onlyB: ['cat'] });
    expect(compareReleases(int8, release()).rows.find(({ metric }) => metric === 'fps')?.better).toBe('a');
  });

  it('takes the newest result of a platform, and no time of an emulated or throttled one', () => {
    const later = result({ at: '2026-11-21T08:00:00.000Z', metrics: { fps: 15 } });
    const emulated = result({
      at: '2026-11-22T08:00:00.000Z',
      metrics: { fps: 1, ap50: 0.4 },
      platform: { emulated: true },
    });
    const hot = result({ at: '2026-11-23T08:00:00.000Z', metrics: { fps: 2 }, throttled: true });
    const impossible = result({ at: '2026-11-24T08:00:00.000Z', metrics: { ap50: -1 } });
    const board = result({ metrics: { fps: 30 }, platform: { hardwareClass: 'rpi5-8g' } });
    const found = figuresOf(release({ manifest: null, results: [hot, later, result(), emulated, impossible, board] }));
    const shown = found.filter(({ group }) => group !== 'package').map((one) => [one.group, one.metric, one.value]);
    expect(shown).toEqual([
      ['arm64 rpi5-8g, run', 'fps', 30],
      ['arm64, run', 'ap50', 0.4],
      ['arm64, run', 'fps', 15],
      ['arm64, run', 'latencyMs.p95', 80],
    ]);
  });

  it('leaves open what only one of them knows, and never divides by nothing', () => {
    const bare = release({ results: [], manifest: null, bytes: 0 });
    const { rows } = compareReleases(bare, int8);
    expect(rows.find(({ metric }) => metric === 'packageBytes')).toMatchObject({ ratio: null, better: 'a' });
    expect(rows.find(({ metric }) => metric === 'fps')).toMatchObject({ a: null, b: 20, better: null });
  });
});

describe('reports', () => {
  const evil = '=HYPERLINK("http://evil","x")';
  const strange = release({
    manifest: { ...release().manifest!, metrics: [{ dataset: '| <img src=x> `a`\n# b', [evil]: 1, '-1+1': 2 }] },
  });

  it('keep text of strangers from becoming a formula', () => {
    expect(csvCell(evil)).toBe(`"'=HYPERLINK(""http://evil"",""x"")"`);
    for (const start of ['=1', '+1', '-1', '@SUM(A1)', '\t=1', '\r=1', ' =1']) {
      expect(csvCell(start).replace(/^"/, '')[0], JSON.stringify(start)).toBe("'");
    }
    expect([csvCell(-5), csvCell('a,b'), csvCell('fps')]).toEqual(['-5', '"a,b"', 'fps']);
    const csv = comparisonCsv(compareReleases(strange, int8));
    expect(csv.split('\r\n')[0]).toBe('group,metric,unit,m@1.0.0,m@2.0.0,difference,ratio,better');
    expect(csv).not.toMatch(/(^|,|\n)"?[=@+]/);
    expect(csv).toContain('package,packageBytes,bytes,1000,400,-600,0.4,b\r\n');
    expect(csv).toContain(",'-1+1,");
  });

  it('keep it from becoming markup', () => {
    expect(markdownCell('a|b\n<b>')).toBe('a\\|b &lt;b&gt;');
    const text = comparisonMarkdown(compareReleases(strange, int8));
    expect(text).toContain('| packageBytes (bytes) | 1000 | 400 | -600 | 0.4 | m@2.0.0 |');
    expect(text).toContain('Labels only of m@1.0.0: dog');
    expect(text).not.toContain('<img');
    expect(text.split('\n').filter((line) => line.startsWith('# '))).toHaveLength(1);
  });
});
