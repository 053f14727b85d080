import type { MessageOf, Precision, ReleaseReference, RunningModel, Telemetry } from '@vigie/protocol';

/** Frames per second and time per frame of the model that this project began from, on an ARM64 runner (INT8) and x86 (FP32). */
const FIGURES: Record<Precision, { fps: number; totalMs: number }> = {
  fp32: { fps: 4.8, totalMs: 206 },
  fp16: { fps: 8, totalMs: 125 },
  int8: { fps: 12.6, totalMs: 79 },
};

interface Running {
  release: ReleaseReference;
  precision: Precision;
  sinceMs: number;
}

/** What a camera and a detector would say: plausible figures that follow the model's precision, without a pixel. */
export class SimulatedVision {
  #running: Running | null = null;

  /** `factor`: how fast this board is, 1 being usual; `wall`: ms since 1970; `random`: 0..1. */
  constructor(
    private readonly factor: number,
    private readonly wall: () => number,
    private readonly random: () => number,
  ) {}

  /** From now on this model sees the frames. Null: none does. */
  turn(release: ReleaseReference | null, precision: Precision): void {
    this.#running = release && { release, precision, sinceMs: this.wall() };
  }

  get running(): RunningModel | null {
    if (this.#running === null) return null;
    const { release, precision, sinceMs } = this.#running;
    const seconds = (this.wall() - sinceMs) / 1000;
    return {
      release,
      framesRun: Math.max(0, Math.floor(seconds * FIGURES[precision].fps * this.factor)),
      since: new Date(sinceMs).toISOString(),
    };
  }

  get precision(): Precision {
    return this.#running?.precision ?? 'fp32';
  }

  telemetry(windowSeconds: number): Omit<Telemetry, 'bootId' | 'sequence'> {
    const { fps, totalMs } = FIGURES[this.precision];
    const seen = this.#running === null ? 0 : fps * this.factor * this.#noise();
    const total = (totalMs / this.factor) * this.#noise();
    const detections = Math.floor(seen * windowSeconds * 0.4);
    return {
      at: new Date(this.wall()).toISOString(),
      windowSeconds,
      fps: round(seen),
      latencyMs:
        this.#running === null
          ? {}
          : {
              capture: latency(4 * this.#noise()),
              inference: latency(total * 0.85),
              decode: latency(total * 0.03),
              total: latency(total),
            },
      drops: { busy: Math.floor(windowSeconds * Math.max(0, 15 - seen)) },
      cpu: round(0.6 * this.#noise()),
      memoryBytes: Math.floor(190_000_000 * this.#noise()),
      temperatureC: round(55 + 5 * this.random()),
      throttled: false,
      scoreHistogram: spread(detections, [0, 0, 1, 2, 4, 7, 12, 21, 30, 23]),
      boxAreaHistogram: spread(detections, [0, 1, 4, 9, 22, 30, 20, 10, 3, 1]),
      modelDigest: this.#running?.release.digest ?? null,
      inferenceRestarts: 0,
    };
  }

  /** Start and end of one event; the second half of it comes `seconds` later. */
  event(id: string, seconds: number): Omit<MessageOf<'events'>, 'bootId' | 'sequence'>[] {
    const startedAt = new Date(this.wall()).toISOString();
    const endedAt = new Date(this.wall() + seconds * 1000).toISOString();
    const x = round(0.6 * this.random());
    const y = round(0.5 * this.random());
    const common = {
      id,
      startedAt,
      trackId: Math.floor(this.random() * 10_000),
      label: 'person',
      score: round(0.6 + 0.39 * this.random()),
      box: [x, y, round(x + 0.2), round(y + 0.4)],
      frame: { sequence: Math.floor(this.wall() / 80) % 1_000_000_000, width: 640, height: 360 },
      modelDigest: this.#running?.release.digest ?? null,
      stagesMs: { inference: round(FIGURES[this.precision].totalMs * 0.85) },
    };
    return [
      { ...common, type: 'start', at: startedAt },
      { ...common, type: 'end', at: endedAt, endedAt },
    ];
  }

  #noise(): number {
    return 0.97 + 0.06 * this.random();
  }
}

const round = (value: number) => Math.round(value * 1000) / 1000;
const latency = (p50: number) => ({ p50: round(p50), p95: round(p50 * 1.18), p99: round(p50 * 1.35) });

function spread(count: number, weights: readonly number[]): number[] {
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => Math.floor((count * weight) / sum));
}
