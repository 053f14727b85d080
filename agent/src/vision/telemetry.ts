import type { StageLatency, Telemetry } from '@vigie/protocol';
import type { FrameResult } from '../ports.js';
import { DetectionHistograms } from './histograms.js';
import { SampleWindow } from './statistics.js';

/** Telemetry before the board stamps it with boot id and sequence. */
export type TelemetryDraft = Omit<Telemetry, 'bootId' | 'sequence'>;

/** What the board's sensors say; see `Telemetry`. */
export type BoardSample = Pick<Telemetry, 'cpu' | 'memoryBytes' | 'diskFreeBytes' | 'temperatureC' | 'throttled'>;

export interface TelemetryMoment {
  /** Monotonic and wall time, ms. */
  nowMs: number;
  wallMs: number;
  /** Counted since the agent's start. */
  drops: Readonly<Record<string, number>>;
  restarts: number;
  modelDigest: string | null;
  board: BoardSample;
}

const STAGES = ['capture', 'inference', 'decode', 'total'] as const;
/** Frames of one window that latency is taken over: 60 a second for a minute. */
const SAMPLES = 3600;

/** Figures of the frames detected on since the last message. */
export class TelemetryWindow {
  private readonly stages = new Map(STAGES.map((stage) => [stage, new SampleWindow(SAMPLES)]));
  private readonly histograms = new DetectionHistograms();
  private frames = 0;
  private dropsBefore: Readonly<Record<string, number>> = {};

  /** @param startedAtMs monotonic, ms. */
  constructor(private startedAtMs: number) {}

  add({ stagesMs, capturedAt, doneAt, detections }: FrameResult): void {
    this.frames += 1;
    this.stages.get('capture')?.add(stagesMs.capture);
    this.stages.get('inference')?.add(stagesMs.inference);
    this.stages.get('decode')?.add(stagesMs.decode);
    this.stages.get('total')?.add(doneAt - capturedAt);
    this.histograms.add(detections);
  }

  /** The window's figures; the next window begins. */
  take(moment: TelemetryMoment): TelemetryDraft {
    const windowSeconds = Math.max(0, moment.nowMs - this.startedAtMs) / 1000;
    const latencyMs: Record<string, StageLatency> = {};
    for (const [stage, samples] of this.stages) {
      const percentiles = samples.percentiles();
      if (percentiles !== null) latencyMs[stage] = percentiles;
      samples.clear();
    }
    const drops: Record<string, number> = {};
    for (const [reason, count] of Object.entries(moment.drops)) {
      const grown = count - (this.dropsBefore[reason] ?? 0);
      if (grown > 0) drops[reason] = grown;
    }
    const fps = windowSeconds > 0 ? this.frames / windowSeconds : 0;
    this.dropsBefore = { ...moment.drops };
    this.startedAtMs = moment.nowMs;
    this.frames = 0;
    return {
      at: new Date(moment.wallMs).toISOString(),
      windowSeconds,
      fps,
      latencyMs,
      drops,
      ...moment.board,
      ...this.histograms.take(),
      modelDigest: moment.modelDigest,
      inferenceRestarts: moment.restarts,
    };
  }
}
