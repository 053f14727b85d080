import { AnnotatedStream } from '../src/io/annotated-stream.js';
import type { BoardView, Health } from '../src/io/board-view.js';
import { startHttpServer } from '../src/io/http-server.js';
import { LiveSocketHub, type LiveSocketOptions } from '../src/io/live-socket.js';
import type { Annotation } from '../src/vision/overlay.js';

export const DIGEST = 'c'.repeat(64);

const HEALTH: Health = {
  ok: true,
  uptimeSeconds: 1,
  camera: { status: 'streaming' },
  detector: { digest: DIGEST, restarts: 0, framesProcessed: 3, fps: 10, latencyMs: { p50: 1, p95: 2 }, drops: {} },
  link: { connected: false },
  install: { phase: 'IDLE', error: null },
};

/** A real server, stream and hub on a free port, with a board whose figures are made up. */
export async function startTestBoard(
  overrides: Partial<BoardView> = {},
  options: { token?: string; host?: string } = {},
  live: Partial<LiveSocketOptions> = {},
) {
  const board: BoardView = {
    health: () => HEALTH,
    modelInfo: () => null,
    recentEvents: () => [],
    metrics: () => 'vigie_frames_total 3\n',
    stream: new AnnotatedStream({ quality: 80, maxBuffers: 2 }),
    live: new LiveSocketHub(live),
    ...overrides,
  };
  const server = await startHttpServer({ host: '127.0.0.1', port: 0, ...options }, board);
  return { board, server, base: `http://127.0.0.1:${server.port}` };
}

/** A frame whose brightness tells its sequence, so that a test sees which frame a JPEG came from. */
export function grey(width: number, height: number, luma: number): Uint8Array {
  const view = new Uint8Array((width * height * 3) / 2).fill(128);
  view.fill(luma, 0, width * height);
  return view;
}

export function annotation(sequence: number, extra: Partial<Annotation> = {}): Annotation {
  return { sequence, capturedAtMs: 1_800_000_000_000 + sequence, digest: DIGEST, tracks: [], status: '', ...extra };
}
