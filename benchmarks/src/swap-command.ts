import type { BenchmarkResult } from '@vigie/protocol';
import { MqttObserver } from './clients/mqtt-observer.js';
import { readTreeUsage } from './measure/process-tree.js';
import { throttledPeriods } from './measure/quota-periods.js';
import { awaitSteady, type Observers, observeSwap } from './observe-swap.js';
import { progress } from './progress.js';
import { type Board, enrollBoard, startBoard } from './rig/board.js';
import { initialiseServer, startServer } from './rig/fleet-server.js';
import { freePorts } from './rig/free-port.js';
import { closeObservers, connectObservers } from './rig/observers.js';
import { publishDirectory } from './rig/publish.js';
import { AGENT_CLI, CLIP, FP32_PACKAGE, INT8_PACKAGE, requireFiles, SERVER_CLI } from './rig/repository.js';
import { Rig } from './rig/rig.js';
import { appendRecord, readRecords, type SwapRecord } from './swap-record.js';
import { describeSwap, histogramLines, summaryLines, swapResult } from './swap-report.js';
import { runFaults } from './swap-verdict.js';

export interface SwapOptions {
  /** How many, those of `resume` included. */
  swaps: number;
  /** The board, and only the board, gets half a core and 512 MiB. */
  halfCore: boolean;
  /** Undisturbed stream before each swap, ms. */
  steadyMs: number;
  /** Camera's frames per second at the most; as the clip when absent. */
  fps?: number;
  /** File that each swap is written to, and that earlier ones are read from. */
  resume?: string;
}

/** Frames per second of the camera under half a core: then FP32 uses well under 70 % of the quota, as a board should. */
export const HALF_CORE_FPS = 5;

const DEVICE = 'bench-board';
/** The clip is empty for 6 s of its 23: somebody comes into the picture within this time, ms. */
const PATIENCE_MS = 25_000;

/** CPU time, memory and stopped periods of a board at one moment. */
function look(board: Board) {
  const { cpuSeconds, residentBytes } = readTreeUsage(board.process.pid);
  return { atMs: performance.now(), cpuSeconds, residentBytes, throttled: throttledPeriods(board.process.pid) };
}

/** Changes the model of one board back and forth, FP32 ↔ INT8, and counts from outside what each change did. */
export async function runSwaps(options: SwapOptions): Promise<{ ok: boolean; result: BenchmarkResult }> {
  requireFiles([AGENT_CLI, SERVER_CLI, CLIP, FP32_PACKAGE, INT8_PACKAGE]);
  const earlier = options.resume === undefined ? [] : readRecords(options.resume);
  if (earlier.length > 0) progress(`going on after ${earlier.length} swaps of ${options.resume}`);
  const records = [...earlier];
  if (records.length < options.swaps) await measure(options, records);
  for (const line of histogramLines(records)) progress(line);
  for (const line of summaryLines(records, options.halfCore)) progress(line);
  const faults = runFaults(records, options.swaps, options.halfCore);
  progress(faults.length === 0 ? 'every limit held' : `missed: ${faults.join('; ')}`);
  return { ok: faults.length === 0, result: swapResult(records, options.halfCore) };
}

/** Adds what is missing to `records`, with processes of its own. */
async function measure(options: SwapOptions, records: SwapRecord[]): Promise<void> {
  const run = 1 + Math.max(0, ...records.map((record) => record.run));
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
      ...(options.fps === undefined ? {} : { fps: options.fps }),
    });
    const reports = await MqttObserver.connect(server.mqttUrl, adminToken, DEVICE);
    const observers = await connectObservers(rig, server, board, DEVICE, reports);
    const missing = options.swaps - records.length;
    // The first seconds after a start are not steady.
    let steadyFromMs = performance.now() + 1000;
    for (let number = 1; number <= missing; number += 1) {
      const release = number % 2 === 1 ? int8 : fp32;
      const before = number % 2 === 1 ? 'fp32' : 'int8';
      const { record, endedMs } = await oneSwap(options, board, observers, release, before, steadyFromMs);
      records.push({ ...record, run, number });
      if (options.resume !== undefined) appendRecord(options.resume, records[records.length - 1]);
      progress(describeSwap(records[records.length - 1], options.swaps, records.length));
      steadyFromMs = endedMs;
      if (record.disconnected.length > 0) break;
    }
    await closeObservers(observers);
  } catch (error) {
    progress(rig.logTails());
    throw error;
  } finally {
    await rig.close();
  }
}

async function oneSwap(
  options: SwapOptions,
  board: Board,
  observers: Observers,
  release: Parameters<typeof observeSwap>[1],
  before: string,
  steadyFromMs: number,
): Promise<{ record: Omit<SwapRecord, 'run' | 'number'>; endedMs: number }> {
  const from = look(board);
  await awaitSteady(observers, steadyFromMs, options.steadyMs, PATIENCE_MS);
  const to = look(board);
  const swap = await observeSwap(observers, release, steadyFromMs);
  const throttled = throttledPeriods(board.process.pid);
  const { name, version, digest, precision } = swap.release;
  const { committedMs, figures, tracks, idsContinue, disconnected, endedMs } = swap;
  const record = {
    release: { name, version, digest, precision },
    durationMs: Number.isFinite(swap.durationMs) ? swap.durationMs : null,
    ...{ committedMs, figures, tracks, idsContinue, disconnected },
    steady: { precision: before, cpus: (to.cpuSeconds - from.cpuSeconds) / ((to.atMs - from.atMs) / 1000) },
    residentBytes: to.residentBytes,
    throttledPeriods: throttled === null || to.throttled === null ? null : throttled - to.throttled,
  };
  return { record, endedMs };
}
