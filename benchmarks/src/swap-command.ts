import type { BenchmarkResult } from '@vigie/protocol';
import { MqttObserver } from './clients/mqtt-observer.js';
import { benchmarkResult } from './measure/platform.js';
import { awaitSteady, observeSwap, type SwapObservation } from './observe-swap.js';
import { ms, progress } from './progress.js';
import { enrollBoard, startBoard } from './rig/board.js';
import { initialiseServer, startServer } from './rig/fleet-server.js';
import { freePorts } from './rig/free-port.js';
import { closeObservers, connectObservers } from './rig/observers.js';
import { publishDirectory } from './rig/publish.js';
import { AGENT_CLI, CLIP, FP32_PACKAGE, INT8_PACKAGE, requireFiles, SERVER_CLI } from './rig/repository.js';
import { Rig } from './rig/rig.js';

export interface SwapOptions {
  swaps: number;
  /** The board, and only the board, gets half a core and 512 MiB. */
  halfCore: boolean;
  /** Undisturbed stream before each swap, ms. */
  steadyMs: number;
}

const DEVICE = 'bench-board';
/** The clip is empty for 6 s of its 23: somebody comes into the picture within this time, ms. */
const PATIENCE_MS = 25_000;
export const MAX_DURATION_MS = 2000;
export const MAX_GAP_RATIO = 2;

/** What a swap must hold; the names are those of the table that is printed. */
export function swapFaults(swap: SwapObservation): string[] {
  const { figures } = swap;
  const faults: string[] = [];
  if (figures.framesMissed > 0) faults.push(`${figures.framesMissed} frames missed`);
  if (!(figures.longestGapMs <= MAX_GAP_RATIO * figures.steadyGapP99Ms)) faults.push('gap over twice the steady p99');
  if (!(swap.durationMs < MAX_DURATION_MS)) faults.push('not active within 2 s');
  if (swap.disconnected.length > 0) faults.push(...swap.disconnected);
  if (swap.idsContinue === false) faults.push('track ids did not go on');
  return faults;
}

function describe(number: number, swap: SwapObservation): string {
  const { figures, tracks } = swap;
  const ids =
    tracks === null || tracks.before === 0 ? 'nobody there' : `${tracks.continued} of ${tracks.before} tracks went on`;
  const faults = swapFaults(swap);
  return (
    `swap ${number} to ${swap.release.precision} ${swap.release.version}: active after ${ms(swap.durationMs)}, ` +
    `committed after ${ms(swap.committedMs)}; ${figures.framesMissed} frames missed of ${figures.windowFrames}, ` +
    `longest gap ${ms(figures.longestGapMs)} (steady p99 ${ms(figures.steadyGapP99Ms)}); ${ids}` +
    `${faults.length === 0 ? '' : ` — ${faults.join('; ')}`}`
  );
}

function histogramLines(swaps: readonly SwapObservation[]): string[] {
  const bins = swaps[0].figures.histogram.map(({ upToMs }, index) => {
    const sum = (key: 'steady' | 'window'): number =>
      swaps.reduce((total, { figures }) => total + figures.histogram[index][key], 0);
    return {
      label: upToMs === null ? '  longer' : `≤ ${String(upToMs).padStart(4)}`,
      steady: sum('steady'),
      window: sum('window'),
    };
  });
  return [
    'gap between frames, ms      steady    around swaps',
    ...bins
      .filter(({ steady, window }) => steady + window > 0)
      .map(
        ({ label, steady, window }) =>
          `  ${label.padEnd(20)} ${String(steady).padStart(10)} ${String(window).padStart(15)}`,
      ),
  ];
}

/** Changes the model of one board back and forth, FP32 ↔ INT8, and counts from outside what each change did. */
export async function runSwaps(
  options: SwapOptions,
): Promise<{ ok: boolean; result: BenchmarkResult; swaps: SwapObservation[] }> {
  requireFiles([AGENT_CLI, SERVER_CLI, CLIP, FP32_PACKAGE, INT8_PACKAGE]);
  const rig = new Rig();
  try {
    const [serverHttp, mqtt, boardHttp] = await freePorts(3);
    progress('starting a fleet server and one enrolled board');
    const { adminToken, enrollmentToken } = await initialiseServer(rig.path('server'));
    const server = await startServer(rig, rig.path('server'), adminToken, { http: serverHttp, mqtt });
    const fp32 = await publishDirectory(server.client, FP32_PACKAGE);
    const int8 = await publishDirectory(server.client, INT8_PACKAGE);
    await enrollBoard(server.httpsUrl, enrollmentToken, rig.path('board'), DEVICE);
    const board = await startBoard(rig, {
      directory: rig.path('board'),
      httpPort: boardHttp,
      source: { url: CLIP, pacing: 'realtime', loop: true },
      modelDirectory: FP32_PACKAGE,
      halfCore: options.halfCore,
    });
    const observers = await connectObservers(
      rig,
      server,
      board,
      DEVICE,
      await MqttObserver.connect(server.mqttUrl, adminToken, DEVICE),
    );
    const swaps: SwapObservation[] = [];
    // The first seconds after a start are not steady.
    let steadyFromMs = performance.now() + 1000;
    for (let number = 1; number <= options.swaps; number += 1) {
      await awaitSteady(observers, steadyFromMs, options.steadyMs, PATIENCE_MS);
      const swap = await observeSwap(observers, number % 2 === 1 ? int8 : fp32, steadyFromMs);
      swaps.push(swap);
      progress(describe(number, swap));
      steadyFromMs = swap.endedMs;
      if (swap.disconnected.length > 0) break;
    }
    await closeObservers(observers);
    progress(histogramLines(swaps).join('\n'));
    const ok = swaps.length === options.swaps && swaps.every((swap) => swapFaults(swap).length === 0);
    return { ok, result: swapResult(swaps), swaps };
  } catch (error) {
    progress(rig.logTails());
    throw error;
  } finally {
    await rig.close();
  }
}

function swapResult(swaps: readonly SwapObservation[]): BenchmarkResult {
  const worst = (figure: (swap: SwapObservation) => number): number => Math.max(...swaps.map(figure));
  const count = (holds: (swap: SwapObservation) => boolean): number => swaps.filter(holds).length;
  const last = swaps[swaps.length - 1].release;
  return benchmarkResult('swap', { name: last.name, version: last.version, digest: last.digest }, swaps.length, {
    framesMissed: swaps.reduce((sum, { figures }) => sum + figures.framesMissed, 0),
    'longestGapMs.max': worst(({ figures }) => figures.longestGapMs),
    'steadyGapP99Ms.max': worst(({ figures }) => figures.steadyGapP99Ms),
    'gapRatio.max': worst(({ figures }) => figures.longestGapMs / figures.steadyGapP99Ms),
    'durationMs.max': worst(({ durationMs }) => durationMs),
    'committedMs.max': worst(({ committedMs }) => committedMs),
    disconnected: swaps.reduce((sum, { disconnected }) => sum + disconnected.length, 0),
    'tracks.continued': swaps.reduce((sum, { tracks }) => sum + (tracks?.continued ?? 0), 0),
    'tracks.switched': swaps.reduce((sum, { tracks }) => sum + (tracks?.switched ?? 0), 0),
    'tracks.lost': swaps.reduce((sum, { tracks }) => sum + (tracks?.lost ?? 0), 0),
    'swaps.held': count((swap) => swapFaults(swap).length === 0),
  });
}
