/** What the benchmarks read of `GET /health`. */
export interface BoardHealth {
  ok: boolean;
  camera: { status: string; reason?: string };
  detector: {
    digest: string | null;
    restarts: number;
    framesProcessed: number;
    fps: number;
    latencyMs: { p50: number; p95: number } | null;
    drops: Record<string, number>;
  };
  link: { connected: boolean; outbox: { pending: number; dropped: number } };
}

/** What the benchmarks read of `GET /model/info`. */
export interface BoardModel {
  version: string;
  digest: string;
  /** Frames that this model has detected on since it went live in this run of the agent. */
  framesRun: number;
}

/** REST client of one board's HTTP server. `base` like `http://127.0.0.1:8081`. */
export class BoardClient {
  constructor(readonly base: string) {}

  get streamUrl(): string {
    return `${this.base}/stream.mjpeg`;
  }

  get liveUrl(): string {
    return `${this.base.replace(/^http/, 'ws')}/live`;
  }

  /** Health, also when the board says 503; undefined while nobody listens yet. */
  async health(): Promise<BoardHealth | undefined> {
    try {
      const response = await fetch(`${this.base}/health`, { signal: AbortSignal.timeout(5000) });
      return (await response.json()) as BoardHealth;
    } catch {
      return undefined;
    }
  }

  /** The live model; undefined while there is none or nobody listens. */
  async model(timeoutMs = 5000): Promise<BoardModel | undefined> {
    try {
      const response = await fetch(`${this.base}/model/info`, { signal: AbortSignal.timeout(timeoutMs) });
      return response.ok ? ((await response.json()) as BoardModel) : undefined;
    } catch {
      return undefined;
    }
  }
}
