/** A span of time of one board and one model; columns as in schema/devices.ts. */
export interface RollupRow {
  at: string;
  model: string;
  messages: number;
  seconds: number;
  frames: number;
  fps_min: number;
  latency_frames: number;
  p50_sum: number;
  p95_sum: number;
  p99_sum: number;
  inference_p95_sum: number;
  p95_max: number | null;
  drops: number;
  cpu_sum: number;
  cpu_max: number;
  memory_max: number;
  temperature_sum: number;
  temperature_count: number;
  temperature_max: number | null;
  throttled: number;
  disk_free_min: number | null;
  restarts_max: number;
  scores: number[];
  areas: number[];
}

const numberOf = (value: unknown) => Number(value ?? 0);
/** The first that is there, or the one that `choose` takes of two. */
const either = (a: number | null, b: number | null, choose: (a: number, b: number) => number) =>
  a === null ? b : b === null ? a : choose(Number(a), Number(b));

/** Two spans as one: the same as the upsert of ingest-statements.ts does in SQL. `at` is the first one's. */
export function together<Row extends RollupRow>(a: Row, b: Row): Row {
  const sums = {} as Record<string, number>;
  for (const column of SUMMED) sums[column] = numberOf(a[column]) + numberOf(b[column]);
  const bins = (one: readonly number[], other: readonly number[]) =>
    one.map((value, index) => Number(value) + numberOf(other[index]));
  return {
    ...a,
    ...sums,
    p95_max: either(a.p95_max, b.p95_max, Math.max),
    cpu_max: Math.max(numberOf(a.cpu_max), numberOf(b.cpu_max)),
    memory_max: Math.max(numberOf(a.memory_max), numberOf(b.memory_max)),
    temperature_max: either(a.temperature_max, b.temperature_max, Math.max),
    restarts_max: Math.max(numberOf(a.restarts_max), numberOf(b.restarts_max)),
    fps_min: Math.min(numberOf(a.fps_min), numberOf(b.fps_min)),
    disk_free_min: either(a.disk_free_min, b.disk_free_min, Math.min),
    scores: bins(a.scores, b.scores),
    areas: bins(a.areas, b.areas),
  };
}

const SUMMED = [
  ...(['messages', 'seconds', 'frames', 'latency_frames', 'p50_sum', 'p95_sum', 'p99_sum'] as const),
  ...(['inference_p95_sum', 'drops', 'cpu_sum', 'temperature_sum', 'temperature_count', 'throttled'] as const),
];
