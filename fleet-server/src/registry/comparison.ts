import { type BenchmarkResult, findMetric, type Metric, metricValue } from '@vigie/protocol';
import type { ManifestMetric, ManifestSummary } from './release-facts.js';
import type { ReleaseState } from './release-state.js';

/** What a comparison needs to know of a release. */
export interface ComparableRelease {
  name: string;
  version: string;
  digest: string;
  precision: string;
  state: ReleaseState;
  /** Of all files, bytes. */
  bytes: number;
  descriptor: { labels: readonly string[]; files: readonly { path: string; size: number }[] };
  /** Null: not known of old releases. */
  manifest: ManifestSummary | null;
  /** What CI and lab boards measured, in any order. */
  results: readonly BenchmarkResult[];
}

/** One figure of a release. */
export interface Figure {
  /** Where it comes from: `package`, `manifest: dataset …`, `arm64 rpi5-8g, run`. */
  group: string;
  metric: string;
  unit: string;
  value: number;
  direction: Metric['direction'];
}

export interface ComparisonRow {
  group: string;
  metric: string;
  unit: string;
  a: number | null;
  b: number | null;
  /** b - a; null unless both are known. */
  difference: number | null;
  /** b / a; null unless both are known and a is not 0. */
  ratio: number | null;
  better: 'a' | 'b' | 'same' | null;
}

type Header = Pick<ComparableRelease, 'name' | 'version' | 'digest' | 'precision' | 'state'>;

export interface Comparison {
  a: Header;
  b: Header;
  labels: { onlyA: string[]; onlyB: string[] };
  rows: ComparisonRow[];
}

/** Rows of a comparison at the most: a foreign manifest must not make it endless. */
const MAX_ROWS = 2000;

/** Two releases side by side: package, the manifest's own figures, and what was measured on each platform. */
export function compareReleases(a: ComparableRelease, b: ComparableRelease): Comparison {
  const rows = new Map<string, ComparisonRow & { direction: Metric['direction'] }>();
  for (const [side, release] of [
    ['a', a],
    ['b', b],
  ] as const) {
    for (const { value, ...figure } of figuresOf(release)) {
      const key = JSON.stringify([figure.group, figure.metric]);
      const empty = { a: null, b: null, difference: null, ratio: null, better: null };
      rows.set(key, { ...(rows.get(key) ?? { ...figure, ...empty }), [side]: value });
    }
  }
  const labelsA = new Set(a.descriptor.labels);
  const labelsB = new Set(b.descriptor.labels);
  return {
    ...{ a: header(a), b: header(b) },
    labels: {
      onlyA: [...labelsA].filter((label) => !labelsB.has(label)),
      onlyB: [...labelsB].filter((label) => !labelsA.has(label)),
    },
    rows: [...rows.values()].slice(0, MAX_ROWS).map(judge),
  };
}

/** Every figure of a release; of each platform and benchmark the newest result that counts. */
export function figuresOf(release: ComparableRelease): Figure[] {
  return [...packageFigures(release), ...manifestFigures(release.manifest), ...measuredFigures(release.results)];
}

function header({ name, version, digest, precision, state }: ComparableRelease): Header {
  return { name, version, digest, precision, state };
}

function packageFigures({ bytes, descriptor, manifest }: ComparableRelease): Figure[] {
  const model = descriptor.files.find(({ path }) => path === manifest?.modelFile);
  const figure = (metric: string, unit: string, value: number, direction: Metric['direction']): Figure => ({
    ...{ group: 'package', metric, unit, value, direction },
  });
  return [
    figure('packageBytes', 'bytes', bytes, 'lower'),
    ...(model === undefined ? [] : [figure('modelBytes', 'bytes', model.size, 'lower')]),
    figure('labels', 'count', descriptor.labels.length, 'none'),
  ];
}

/** A manifest's measurement names what it was taken on by its texts; its numbers are the figures. */
function manifestFigures(manifest: ManifestSummary | null): Figure[] {
  return (manifest?.metrics ?? []).flatMap((metric: ManifestMetric) => {
    const entries = Object.entries(metric);
    const about = entries.flatMap(([key, value]) => (typeof value === 'string' ? [`${key} ${value}`] : []));
    const group = about.length === 0 ? 'manifest' : `manifest: ${about.sort().join(', ')}`;
    return entries.flatMap(([name, value]) => (typeof value === 'number' ? [named(group, name, value)] : []));
  });
}

function measuredFigures(results: readonly BenchmarkResult[]): Figure[] {
  const newest = new Map<string, Figure & { at: string }>();
  for (const { platform, benchmark, at, metrics, throttled } of results) {
    const where = [platform.arch, platform.hardwareClass].filter((part) => part !== undefined).join(' ');
    const group = `${where}, ${benchmark}`;
    for (const [name, given] of Object.entries(metrics)) {
      const metric = findMetric(name);
      // Times of emulated or throttled machines say nothing about the model.
      if (metric?.time === true && (platform.emulated || throttled === true)) continue;
      const value = metric === null ? given : metricValue(metric, metrics);
      if (value === null || !Number.isFinite(value)) continue;
      const key = JSON.stringify([group, name]);
      if ((newest.get(key)?.at ?? '') <= at) newest.set(key, { ...named(group, name, value), at });
    }
  }
  return [...newest.values()]
    .map(({ at: _at, ...figure }) => figure)
    .sort((one, other) => order(one.group, other.group) || order(one.metric, other.metric));
}

function named(group: string, name: string, value: number): Figure {
  const metric = findMetric(name);
  return { group, metric: name, unit: metric?.unit ?? '', value, direction: metric?.direction ?? 'none' };
}

function judge({ direction, ...row }: ComparisonRow & { direction: Metric['direction'] }): ComparisonRow {
  const { a, b } = row;
  if (a === null || b === null) return row;
  const ahead = direction === 'lower' ? a - b : b - a;
  const better = a === b ? 'same' : direction === 'none' ? null : ahead > 0 ? 'b' : 'a';
  return { ...row, difference: b - a, ratio: a === 0 ? null : b / a, better };
}

function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
