import type { Event } from '@vigie/protocol';
import type { AnnotatedStream } from './annotated-stream.js';
import type { LiveSocketHub } from './live-socket.js';

/** Body of `GET /health`. 200 when `ok`, 503 otherwise. */
export interface Health {
  /** The camera streams and a detector lives. */
  ok: boolean;
  uptimeSeconds: number;
  camera: { status: string; [detail: string]: unknown };
  detector: {
    digest: string | null;
    restarts: number;
    framesProcessed: number;
    fps: number;
    latencyMs: { p50: number; p95: number } | null;
    /** Frames not detected on, by reason. */
    drops: Readonly<Record<string, number>>;
  };
  link: { connected: boolean; [detail: string]: unknown };
  install: { phase: string; error: unknown };
}

/** Body of `GET /model/info`. */
export interface ModelInfo {
  name: string;
  version: string;
  precision: string;
  digest: string;
  labels: readonly string[];
  input: unknown;
  runtime: string;
  framesRun: number;
  /** RFC 3339: live since. */
  since: string;
  slots: unknown;
}

/** Answer to `POST /predict`: boxes in pixels of the picture sent. */
export interface Prediction {
  width: number;
  height: number;
  digest: string;
  detections: { label: string; classId: number; score: number; box: readonly [number, number, number, number] }[];
}

/** What the HTTP server shows of the board. Everything is asked for when a request comes; nothing is pushed. */
export interface BoardView {
  health(): Health;
  modelInfo(): ModelInfo | null;
  /** Newest first. */
  recentEvents(limit: number): Event[];
  /** Prometheus text exposition format 0.0.4. */
  metrics(): string;
  stream: AnnotatedStream;
  live: LiveSocketHub;
  /** Runs the live model on one JPEG or PNG. Absent: `POST /predict` answers 501. A rejection means the picture is no picture. */
  predict?(picture: Buffer): Promise<Prediction>;
}
