export type Labels = Readonly<Record<string, string>>;

/** One family of figures as Prometheus reads it. */
export interface MetricFamily {
  name: string;
  help: string;
  type: 'counter' | 'gauge' | 'histogram';
  samples: readonly { suffix?: '_bucket' | '_sum' | '_count'; labels: Labels; value: number }[];
}

/** Upper bounds, s. */
const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** Times by label, in buckets of Prometheus. Labels must come from a bounded set: routes and duties, never ids. */
export class Histogram {
  readonly #series = new Map<string, { labels: Labels; buckets: number[]; sum: number; count: number }>();

  constructor(
    private readonly name: string,
    private readonly help: string,
  ) {}

  observe(labels: Labels, seconds: number): void {
    const key = JSON.stringify(labels);
    const series = this.#series.get(key) ?? { labels, buckets: BUCKETS.map(() => 0), sum: 0, count: 0 };
    this.#series.set(key, series);
    series.sum += seconds;
    series.count += 1;
    for (const [index, bound] of BUCKETS.entries()) if (seconds <= bound) series.buckets[index] += 1;
  }

  family(): MetricFamily {
    const samples = [...this.#series.values()].flatMap(({ labels, buckets, sum, count }) => [
      ...buckets.map((value, index) => ({
        ...{ suffix: '_bucket' as const, labels: { ...labels, le: String(BUCKETS[index]) }, value },
      })),
      { suffix: '_bucket' as const, labels: { ...labels, le: '+Inf' }, value: count },
      { suffix: '_sum' as const, labels, value: sum },
      { suffix: '_count' as const, labels, value: count },
    ]);
    return { name: this.name, help: this.help, type: 'histogram', samples };
  }
}

/** Counts by label; bounded labels only. */
export class Counter {
  readonly #series = new Map<string, { labels: Labels; value: number }>();

  constructor(
    private readonly name: string,
    private readonly help: string,
  ) {}

  add(labels: Labels, by = 1): void {
    const key = JSON.stringify(labels);
    const series = this.#series.get(key) ?? { labels, value: 0 };
    this.#series.set(key, series);
    series.value += by;
  }

  family(): MetricFamily {
    return { name: this.name, help: this.help, type: 'counter', samples: [...this.#series.values()] };
  }
}

export function gauge(name: string, help: string, samples: readonly { labels: Labels; value: number }[]): MetricFamily {
  return { name, help, type: 'gauge', samples };
}

export function counter(
  name: string,
  help: string,
  samples: readonly { labels: Labels; value: number }[],
): MetricFamily {
  return { name, help, type: 'counter', samples };
}

/** Prometheus text format 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats/). */
export function exposition(families: readonly MetricFamily[]): string {
  const lines: string[] = [];
  for (const { name, help, type, samples } of families) {
    if (samples.length === 0) continue;
    lines.push(`# HELP ${name} ${help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}`, `# TYPE ${name} ${type}`);
    for (const { suffix = '', labels, value } of samples) lines.push(`${name}${suffix}${braces(labels)} ${value}`);
  }
  return `${lines.join('\n')}\n`;
}

function braces(labels: Labels): string {
  const parts = Object.entries(labels).map(
    ([name, value]) => `${name}="${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`,
  );
  return parts.length === 0 ? '' : `{${parts.join(',')}}`;
}
