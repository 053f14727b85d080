import type { Telemetry } from '@vigie/protocol';

/** What one telemetry message adds to the rollup of its minute: columns of `telemetry_minutes`. */
export interface RollupPart {
  model: string;
  seconds: number;
  frames: number;
  fps: number;
  /** Frames, where the message names the latency of the whole way; else 0. */
  latency_frames: number;
  p50_sum: number;
  p95_sum: number;
  p99_sum: number;
  inference_p95_sum: number;
  p95_max: number | null;
  drops: number;
  cpu: number;
  memory: number;
  temperature: number | null;
  throttled: number;
  disk_free: number | null;
  restarts: number;
  scores: number[];
  areas: number[];
}

/** What no board measures: a figure beyond is a fault of its sender and must not spoil a sum over many. */
const MOST_FRAMES = 1e9;
const MOST_MS = 1e7;
const MOST_COUNT = 1e12;

/** Figures of one message as sums and extremes that add up over messages. */
export function rollupPart(message: Telemetry): RollupPart {
  const seconds = bounded(message.windowSeconds, 1e6);
  const frames = bounded(message.fps * seconds, MOST_FRAMES);
  const { total, inference } = message.latencyMs;
  const latencyFrames = total === undefined ? 0 : frames;
  const weighted = (ms: number | undefined) => bounded(ms ?? 0, MOST_MS) * latencyFrames;
  const { temperatureC } = message;
  return {
    model: message.modelDigest ?? '',
    seconds,
    frames,
    fps: bounded(message.fps, 1e6),
    latency_frames: latencyFrames,
    p50_sum: weighted(total?.p50),
    p95_sum: weighted(total?.p95),
    p99_sum: weighted(total?.p99),
    inference_p95_sum: weighted(inference?.p95),
    p95_max: total === undefined ? null : bounded(total.p95, MOST_MS),
    drops: bounded(
      Object.values(message.drops).reduce((sum, count) => sum + count, 0),
      MOST_COUNT,
    ),
    cpu: bounded(message.cpu, 1e6),
    memory: message.memoryBytes,
    temperature: temperatureC === null ? null : Math.max(-1000, bounded(temperatureC, 1000)),
    throttled: message.throttled === true ? 1 : 0,
    disk_free: message.diskFreeBytes ?? null,
    restarts: message.inferenceRestarts,
    scores: message.scoreHistogram.map((count) => bounded(count, MOST_COUNT)),
    areas: message.boxAreaHistogram.map((count) => bounded(count, MOST_COUNT)),
  };
}

/** Nor is anything so small that the database's short floats could not hold it. */
function bounded(value: number, most: number): number {
  if (Math.abs(value) < 1e-30) return 0;
  return value < most ? value : most;
}
