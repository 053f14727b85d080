/** Which way a metric gets better. `none`: it only describes. */
export type MetricDirection = 'higher' | 'lower' | 'none';

export interface Metric {
  name: string;
  /** `FPS`, `ms`, `bytes`, `share` (0..1), `°C`, `ratio`, `count`. */
  unit: string;
  direction: MetricDirection;
  /** It measures time: emulated and throttled machines say nothing about it. */
  time: boolean;
  /** What a value can be at all; a value outside says that nothing was measured (COCO writes -1 for "no objects"). */
  range: readonly [number, number];
  /** Samples it is taken from, by the name of their series. */
  series: string;
  /** How a value is made of samples. */
  statistic: 'mean' | 'p50' | 'p90' | 'p95' | 'p99' | 'max';
}

interface Family {
  unit: string;
  direction: MetricDirection;
  time: boolean;
  range: readonly [number, number];
  /** With a percentile at the end: `latencyMs.p95`, and by stage or part in between: `latencyMs.decode.p95`. */
  percentiles?: boolean;
  /** With a part at the end: `ap.person`, `cpuMsPerFrame.board`. */
  parts?: boolean;
}

const POSITIVE = [0, Number.MAX_VALUE] as const;
const SHARE = [0, 1] as const;
const share = { unit: 'share', direction: 'higher', time: false, range: SHARE, parts: true } as const;
const bytes = { unit: 'bytes', direction: 'lower', time: false, range: POSITIVE, parts: true } as const;
const count = { unit: 'count', time: false, range: POSITIVE } as const;

/** Every family of metrics that Vigie's own benchmarks write (docs/benchmarks.md, docs/evaluation.md). */
const FAMILIES: Readonly<Record<string, Family>> = {
  fps: { unit: 'FPS', direction: 'higher', time: true, range: POSITIVE, parts: true },
  latencyMs: { unit: 'ms', direction: 'lower', time: true, range: POSITIVE, percentiles: true },
  gapMs: { unit: 'ms', direction: 'lower', time: true, range: POSITIVE, percentiles: true },
  loadMs: { unit: 'ms', direction: 'lower', time: true, range: POSITIVE },
  cpuMsPerFrame: { unit: 'ms', direction: 'lower', time: true, range: POSITIVE, parts: true },
  ratio: { unit: 'ratio', direction: 'lower', time: true, range: POSITIVE },
  memoryBytes: bytes,
  modelBytes: bytes,
  packageBytes: bytes,
  temperatureC: { unit: '°C', direction: 'lower', time: false, range: [-60, 200] },
  ap: share,
  ap50: share,
  ap75: share,
  apSmall: share,
  apMedium: share,
  apLarge: share,
  ar1: share,
  ar10: share,
  ar100: share,
  accuracy: share,
  precision: share,
  recall: share,
  f1: share,
  agreement: share,
  goldenMismatches: { ...count, direction: 'lower' },
  drops: { ...count, direction: 'lower', parts: true },
  errors: { ...count, direction: 'lower', parts: true },
  detections: { ...count, direction: 'none', parts: true },
};

/** A metric of your own, as a policy declares it. */
export interface DeclaredMetric {
  unit?: string;
  direction: MetricDirection;
  time?: boolean;
}

const PERCENTILE = /^(p50|p90|p95|p99|mean|max)$/;
export const METRIC_NAME = /^[A-Za-z][A-Za-z0-9_-]*(\.[A-Za-z0-9_ -]+)*$/;

/** Names of the families, for a refusal that says what there is. */
export const METRIC_FAMILIES: readonly string[] = Object.keys(FAMILIES);

/** The metric of this name; null where neither Vigie nor `declared` knows it. `declared` may not redefine a known one. */
export function findMetric(name: string, declared: Readonly<Record<string, DeclaredMetric>> = {}): Metric | null {
  if (name.length > 64 || !METRIC_NAME.test(name)) return null;
  const [family, ...rest] = name.split('.');
  const known = Object.hasOwn(FAMILIES, family) ? FAMILIES[family] : undefined;
  if (known !== undefined) {
    const last = rest.at(-1);
    if (known.percentiles === true) {
      if (last === undefined || !PERCENTILE.test(last) || rest.length > 2) return null;
      const series = name.slice(0, -last.length - 1);
      return { ...shape(name, known), series, statistic: last as Metric['statistic'] };
    }
    if (rest.length > 0 && known.parts !== true) return null;
    return { ...shape(name, known), series: name, statistic: 'mean' };
  }
  const own = Object.hasOwn(declared, name) ? declared[name] : undefined;
  if (own === undefined) return null;
  const { unit = '', direction, time = false } = own;
  const range = [-Number.MAX_VALUE, Number.MAX_VALUE] as const;
  return { name, unit, direction, time, range, series: name, statistic: 'mean' };
}

function shape(name: string, { unit, direction, time, range }: Family) {
  return { name, unit, direction, time, range };
}

/** The value of a metric if it can be one; null for absent, not finite, or outside what the metric can be. */
export function metricValue(metric: Metric, metrics: Readonly<Record<string, number>>): number | null {
  const value = Object.hasOwn(metrics, metric.name) ? metrics[metric.name] : undefined;
  if (value === undefined || !Number.isFinite(value)) return null;
  return value >= metric.range[0] && value <= metric.range[1] ? value : null;
}
