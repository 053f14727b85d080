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
  link: { connected: boolean };
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
}
