/** Sums of a span of telemetry, by the names of their columns; numbers may come as text. */
export type RollupSums = Readonly<Record<string, unknown>>;

/** A span of telemetry as the API shows it. */
export interface TelemetrySpan {
  /** Messages, and the time that they cover, s. */
  messages: number;
  seconds: number;
  fps: number;
  /** Of the slowest message. */
  fpsMin: number;
  /** Means of the messages' percentiles, each weighted by its frames, and the largest p95, ms; null: none named a latency. */
  latencyMs: { p50: number; p95: number; p99: number; inferenceP95: number; p95Max: number } | null;
  drops: number;
  cpu: number;
  cpuMax: number;
  memoryMaxBytes: number;
  temperatureC: number | null;
  temperatureMaxC: number | null;
  /** Share of the messages that said the board was throttled. */
  throttledShare: number;
  diskFreeMinBytes: number | null;
  inferenceRestarts: number;
  /** Detections that the histograms hold. */
  detections: number;
  scoreHistogram: number[];
  boxAreaHistogram: number[];
}

export function viewSpan(sums: RollupSums): TelemetrySpan {
  const number = (name: string) => Number(sums[name]);
  const orNull = (name: string) => (sums[name] === null ? null : Number(sums[name]));
  const per = (sum: string, count: number) => (count > 0 ? number(sum) / count : 0);
  const [messages, seconds, weight] = [number('messages'), number('seconds'), number('latency_frames')];
  const temperatures = number('temperature_count');
  const scores = (sums.scores as unknown[]).map(Number);
  return {
    ...{ messages, seconds, fps: per('frames', seconds), fpsMin: number('fps_min') },
    latencyMs:
      weight > 0
        ? {
            ...{ p50: per('p50_sum', weight), p95: per('p95_sum', weight), p99: per('p99_sum', weight) },
            ...{ inferenceP95: per('inference_p95_sum', weight), p95Max: number('p95_max') },
          }
        : null,
    drops: number('drops'),
    ...{ cpu: per('cpu_sum', messages), cpuMax: number('cpu_max'), memoryMaxBytes: number('memory_max') },
    temperatureC: temperatures > 0 ? per('temperature_sum', temperatures) : null,
    temperatureMaxC: orNull('temperature_max'),
    throttledShare: per('throttled', messages),
    diskFreeMinBytes: orNull('disk_free_min'),
    inferenceRestarts: number('restarts_max'),
    detections: scores.reduce((sum, count) => sum + count, 0),
    scoreHistogram: scores,
    boxAreaHistogram: (sums.areas as unknown[]).map(Number),
  };
}
