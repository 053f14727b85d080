import { openPackageDirectory } from '@vigie/models/package/package';
import type { BenchmarkResult } from '@vigie/protocol';
import { MjpegClient } from './clients/mjpeg-client.js';
import { type BoardWindow, measureBoardWindow } from './measure/board-window.js';
import { percentiles } from './measure/percentiles.js';
import { benchmarkResult } from './measure/platform.js';
import { ms, progress } from './progress.js';
import { startBoard } from './rig/board.js';
import { freePorts } from './rig/free-port.js';
import { AGENT_CLI, CLIP, requireFiles, requirePackage } from './rig/repository.js';
import { Rig } from './rig/rig.js';

export interface EndToEndOptions {
  package: string;
  /** Frames the board shall detect on while it is measured. */
  frames: number;
  viewers: number;
  /** The board, and only the board, gets half a core and 512 MiB. */
  halfCore: boolean;
  /** Frames a second the slowest viewer must get; 0: only measure. */
  minFps: number;
}

const WARMUP_FRAMES = 40;

function gapsMs(viewer: MjpegClient, fromMs: number): number[] {
  const frames = viewer.frames.filter((frame) => frame.arrivalMs >= fromMs);
  return frames.slice(1).map((frame, index) => frame.arrivalMs - frames[index].arrivalMs);
}

/** Frames per second that reach an MJPEG viewer when the source is unpaced: capture, detection, drawing, encoding. */
export async function runEndToEnd(options: EndToEndOptions): Promise<{ ok: boolean; result: BenchmarkResult }> {
  requireFiles([AGENT_CLI, CLIP]);
  requirePackage(options.package);
  const { manifest, digest } = await openPackageDirectory(options.package);
  const rig = new Rig();
  try {
    const [httpPort] = await freePorts(1);
    progress(`starting a board${options.halfCore ? ' on half a core' : ''} with ${manifest.name} ${manifest.version}`);
    const board = await startBoard(rig, {
      directory: rig.path('board'),
      httpPort,
      source: { url: CLIP, pacing: 'unpaced', loop: true },
      modelDirectory: options.package,
      halfCore: options.halfCore,
    });
    const viewers = await Promise.all(
      Array.from({ length: options.viewers }, () => MjpegClient.connect(board.client.streamUrl)),
    );
    const started = performance.now();
    const window: BoardWindow = await measureBoardWindow(board, WARMUP_FRAMES, options.frames);
    const fromMs = Math.max(started, performance.now() - window.wallSeconds * 1000);
    const perViewer = viewers.map((viewer) => {
      const gaps = gapsMs(viewer, fromMs);
      return { fps: (gaps.length * 1000) / gaps.reduce((sum, gap) => sum + gap, 0), gaps, ended: viewer.ended };
    });
    for (const viewer of viewers) viewer.close();
    const detected = window.frames / window.wallSeconds;
    const slowest = perViewer.reduce((least, { fps }) => Math.min(least, fps), Number.POSITIVE_INFINITY);
    const fps = options.viewers === 0 ? detected : slowest;
    const connected = perViewer.every(({ ended }) => ended === null);
    const gaps = percentiles(perViewer[0]?.gaps ?? []);
    const result = benchmarkResult(
      'endtoend',
      { name: manifest.name, version: manifest.version, digest },
      window.frames,
      {
        fps,
        'fps.detected': detected,
        viewers: options.viewers,
        cores: options.halfCore ? 0.5 : Number.NaN,
        'gapMs.p50': gaps.p50,
        'gapMs.p95': gaps.p95,
        'gapMs.p99': gaps.p99,
        'cpuMsPerFrame.board': (window.cpuSeconds / window.frames) * 1000,
        'cpuMsPerFrame.board.agent': (window.cpuByRole.agent / window.frames) * 1000,
        'cpuMsPerFrame.board.inference': (window.cpuByRole.inference / window.frames) * 1000,
        'cpuMsPerFrame.board.ffmpeg': (window.cpuByRole.ffmpeg / window.frames) * 1000,
        drops: window.dropped,
        disconnected: perViewer.filter(({ ended }) => ended !== null).length,
        memoryBytes: window.residentBytes,
      },
    );
    const ok = connected && fps >= options.minFps;
    progress(
      `${manifest.name} ${manifest.version} (${manifest.model.precision})${options.halfCore ? ', half a core' : ''}: ` +
        `${fps.toFixed(1)} FPS at the ${options.viewers === 0 ? 'detector' : 'slowest viewer'} ` +
        `(detected ${detected.toFixed(1)} FPS), gap p50 ${ms(gaps.p50)} p95 ${ms(gaps.p95)}, ` +
        `CPU ${ms((window.cpuSeconds / window.frames) * 1000)} a frame; ` +
        `limit ${options.minFps} FPS: ${ok ? 'held' : 'NOT HELD'}`,
    );
    return { ok, result };
  } catch (error) {
    progress(rig.logTails());
    throw error;
  } finally {
    await rig.close();
  }
}
