import { LiveClient } from '../clients/live-client.js';
import type { Board } from '../rig/board.js';
import { waitFor } from '../rig/wait.js';
import { type BoardRole, readBoardCpu, readTreeUsage } from './process-tree.js';

/** What a board did between two moments, seen from outside. */
export interface BoardWindow {
  /** Frames by the sequence numbers at the two moments, less those the board says it dropped. */
  frames: number;
  dropped: number;
  wallSeconds: number;
  cpuSeconds: number;
  cpuByRole: Record<BoardRole, number>;
  residentBytes: number;
}

interface Moment {
  sequence: number;
  atMs: number;
  cpuSeconds: number;
  cpuByRole: Record<BoardRole, number>;
  residentBytes: number;
  dropped: number;
}

/** Connects just long enough to learn which frame the board is at, and reads its CPU time in that moment. */
async function lookAt(board: Board): Promise<Moment> {
  const live = await LiveClient.connect(board.client.liveUrl);
  try {
    const frame = await waitFor('a frame from the board', () => live.frames.at(-1), {
      timeoutMs: 30_000,
      everyMs: 1,
      guard: () => board.process.assertRunning(),
    });
    const { cpuSeconds, residentBytes } = readTreeUsage(board.process.pid);
    const cpuByRole = readBoardCpu(board.process.pid);
    const atMs = performance.now();
    const drops = (await board.client.health())?.detector.drops ?? {};
    const dropped = Object.values(drops).reduce((sum, count) => sum + count, 0);
    return { sequence: frame.sequence, atMs, cpuSeconds, cpuByRole, residentBytes, dropped };
  } finally {
    live.close();
  }
}

/**
 * CPU time and frames of the whole board over at least `frames` frames, after `warmup` frames that do not count.
 */
export async function measureBoardWindow(board: Board, warmup: number, frames: number): Promise<BoardWindow> {
  const processed = async (): Promise<number | undefined> => (await board.client.health())?.detector.framesProcessed;
  const reach = async (count: number): Promise<void> => {
    await waitFor(`the board to detect on ${count} frames`, async () => ((await processed()) ?? 0) >= count, {
      timeoutMs: 300_000,
      everyMs: 250,
      guard: () => board.process.assertRunning(),
    });
  };
  await reach(warmup);
  const from = await lookAt(board);
  await reach(((await processed()) ?? warmup) + frames);
  const to = await lookAt(board);
  const dropped = to.dropped - from.dropped;
  const roles = Object.keys(to.cpuByRole) as BoardRole[];
  return {
    frames: to.sequence - from.sequence - dropped,
    dropped,
    wallSeconds: (to.atMs - from.atMs) / 1000,
    cpuSeconds: to.cpuSeconds - from.cpuSeconds,
    cpuByRole: Object.fromEntries(roles.map((role) => [role, to.cpuByRole[role] - from.cpuByRole[role]])) as Record<
      BoardRole,
      number
    >,
    residentBytes: to.residentBytes,
  };
}
