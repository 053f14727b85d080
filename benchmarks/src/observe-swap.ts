import type { SwapReport } from '@vigie/protocol';
import type { FleetClient, FleetRelease } from './clients/fleet-client.js';
import type { LiveClient } from './clients/live-client.js';
import type { MjpegClient } from './clients/mjpeg-client.js';
import type { MqttObserver, ObservedReport } from './clients/mqtt-observer.js';
import { waitFor } from './rig/wait.js';
import { type SwapFigures, swapFigures, swapWindow } from './swap-figures.js';
import { idsContinue, type TrackContinuity, trackContinuity } from './track-continuity.js';

/** Everything that looks at one board while its model is changed. */
export interface Observers {
  fleet: FleetClient;
  deviceId: string;
  reports: MqttObserver;
  viewer: MjpegClient;
  live: LiveClient;
  /** Throws when a process of the rig died. */
  guard: () => void;
}

/** One swap as the clients outside saw it. */
export interface SwapObservation {
  release: FleetRelease;
  generation: number;
  /** From just before the assignment was posted to the first viewer's frame of the new model, ms. */
  durationMs: number;
  /** From there to the board's report that it committed, ms. */
  committedMs: number;
  figures: SwapFigures;
  /** The same frames counted from `WS /live`. */
  liveFigures: SwapFigures;
  tracks: TrackContinuity | null;
  idsContinue: boolean | null;
  /** Clients that lost their connection, with the reason. */
  disconnected: string[];
  /** The agent's own account, to compare with. */
  agent: SwapReport | undefined;
  /** Arrival time at which the swap window ended, client's monotonic ms. */
  endedMs: number;
}

/** The board did not take the release. */
export class SwapRefusedError extends Error {
  override readonly name = 'SwapRefusedError';
}

/** Frames in a row with a track that make a good moment to look at ids. */
const CALM_FRAMES = 5;

/** Waits until `steadyMs` of stream lie behind `fromMs` and somebody is in the picture; the latter for `patienceMs` at most. */
export async function awaitSteady(
  observers: Observers,
  fromMs: number,
  steadyMs: number,
  patienceMs: number,
): Promise<void> {
  const { viewer, live, guard } = observers;
  await waitFor('a steady stream', () => (viewer.last?.arrivalMs ?? 0) - fromMs >= steadyMs, {
    timeoutMs: steadyMs + 30_000,
    guard,
  });
  const deadline = performance.now() + patienceMs;
  const someone = (): boolean => {
    const latest = live.frames.slice(-CALM_FRAMES);
    return latest.length === CALM_FRAMES && latest.every((frame) => frame.tracks.length > 0);
  };
  await waitFor('somebody in the picture', () => someone() || performance.now() > deadline, {
    timeoutMs: patienceMs + 5000,
    everyMs: 20,
    guard,
  });
}

function committed({ report }: ObservedReport, generation: number, digest: string): boolean {
  if (report.generation < generation) return false;
  if (report.phase === 'FAILED' || report.phase === 'ROLLED_BACK') {
    throw new SwapRefusedError(
      `the board ended in ${report.phase}: ${report.error?.code ?? '?'} ${report.error?.message ?? ''}`,
    );
  }
  return (report.phase === 'COMMITTED' || report.phase === 'IDLE') && report.active?.release.digest === digest;
}

/** Assigns a release and waits for the board's report that it runs and is kept. Returns moments, client's monotonic ms. */
export async function assignAndAwaitCommit(
  observers: Pick<Observers, 'fleet' | 'deviceId' | 'reports' | 'guard'>,
  release: FleetRelease,
  timeoutMs = 60_000,
): Promise<{ generation: number; assignedMs: number; commit: ObservedReport }> {
  const assignedMs = performance.now();
  const generation = await observers.fleet.assign(observers.deviceId, release.name, release.version);
  const commit = await waitFor(
    `the board to commit ${release.name} ${release.version}`,
    () => observers.reports.reports.find((observed) => committed(observed, generation, release.digest)),
    { timeoutMs, everyMs: 10, guard: observers.guard },
  );
  return { generation, assignedMs, commit };
}

/** Changes the model and counts from outside what that did to the stream. `steadyFromMs`: where the time to compare with begins. */
export async function observeSwap(
  observers: Observers,
  release: FleetRelease,
  steadyFromMs: number,
): Promise<SwapObservation> {
  const { viewer, live, guard } = observers;
  const { generation, assignedMs, commit } = await assignAndAwaitCommit(observers, release);
  const since = <T extends { arrivalMs: number }>(frames: readonly T[]): T[] =>
    frames.filter((frame) => frame.arrivalMs >= steadyFromMs);
  const window = await waitFor(
    '20 frames and 2 s after the commit',
    () => swapWindow(viewer.frames, assignedMs, commit.arrivalMs) ?? (viewer.ended === null ? null : 'ended'),
    { timeoutMs: 60_000, guard },
  );
  const ended = window === 'ended';
  const measured = ended ? { startMs: assignedMs, endMs: performance.now() } : window;
  const firstNew = viewer.frames.find((frame) => frame.arrivalMs > assignedMs && frame.digest === release.digest);
  const tracks = trackContinuity(since(live.frames), release.digest);
  return {
    release,
    generation,
    durationMs: firstNew === undefined ? Number.NaN : firstNew.arrivalMs - assignedMs,
    committedMs: commit.arrivalMs - assignedMs,
    figures: swapFigures(since(viewer.frames), measured),
    liveFigures: swapFigures(since(live.frames), measured),
    tracks,
    idsContinue: idsContinue(tracks),
    disconnected: [
      ...(viewer.ended === null ? [] : [`MJPEG viewer: ${viewer.ended}`]),
      ...(live.ended === null ? [] : [`WebSocket client: ${live.ended}`]),
    ],
    agent: commit.report.swap,
    endedMs: measured.endMs,
  };
}
