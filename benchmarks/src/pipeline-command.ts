import type { BenchmarkResult } from '@vigie/protocol';
import { type BoardWindow, measureBoardWindow } from './measure/board-window.js';
import { measureDecodeCost } from './measure/decode-cost.js';
import { type ModelJobResult, measureModel } from './measure/model-job.js';
import { median } from './measure/percentiles.js';
import { benchmarkResult } from './measure/platform.js';
import { ms, progress } from './progress.js';
import { startBoard } from './rig/board.js';
import { freePorts } from './rig/free-port.js';
import { AGENT_CLI, CLIP, CLIP_FRAMES, requireFiles, requirePackage } from './rig/repository.js';
import { Rig } from './rig/rig.js';

export interface PipelineOptions {
  package: string;
  /** Rounds of the clip per measurement. */
  loops: number;
  /** Measurements of each kind, taken in turn. */
  rounds: number;
  maxRatio: number;
}

const WARMUP_FRAMES = CLIP_FRAMES;

interface Round {
  session: ModelJobResult;
  decodeSeconds: number;
  board: BoardWindow;
}

async function measureBoard(options: PipelineOptions): Promise<BoardWindow> {
  const rig = new Rig();
  try {
    const [httpPort] = await freePorts(1);
    const board = await startBoard(rig, {
      directory: rig.path('board'),
      httpPort,
      source: { url: CLIP, pacing: 'unpaced', loop: true },
      modelDirectory: options.package,
    });
    return await measureBoardWindow(board, WARMUP_FRAMES, options.loops * CLIP_FRAMES);
  } catch (error) {
    progress(rig.logTails());
    throw error;
  } finally {
    await rig.close();
  }
}

async function measureRound(options: PipelineOptions): Promise<Round> {
  const frames = options.loops * CLIP_FRAMES;
  const session = await measureModel({
    mode: 'session',
    directory: options.package,
    clip: CLIP,
    warmup: 20,
    samples: frames,
  });
  const decodeSeconds = await measureDecodeCost(CLIP, session.input, options.loops);
  return { session, decodeSeconds, board: await measureBoard(options) };
}

/**
 * CPU seconds per processed frame of the whole board (agent, inference child, ffmpeg) over the sum of its unavoidable
 * parts measured alone in the same run: `session.run` on that model, ffmpeg decode and scale of that clip.
 */
export async function runPipeline(options: PipelineOptions): Promise<{ ok: boolean; result: BenchmarkResult }> {
  requireFiles([AGENT_CLI, CLIP]);
  requirePackage(options.package);
  const rounds: Round[] = [];
  for (let number = 1; number <= options.rounds; number += 1) {
    const round = await measureRound(options);
    rounds.push(round);
    const { board } = round;
    progress(
      `round ${number}: board ${ms((board.cpuSeconds / board.frames) * 1000)} a frame ` +
        `(${board.frames} frames, ${(board.frames / board.wallSeconds).toFixed(1)} FPS, ${board.dropped} dropped); ` +
        `alone: session.run ${ms(round.session.cpuSecondsPerFrame * 1000)}, ffmpeg ${ms(round.decodeSeconds * 1000)}`,
    );
  }
  const of = (figure: (round: Round) => number): number => median(rounds.map(figure));
  const perFrame = ({ board }: Round): number => (board.cpuSeconds / board.frames) * 1000;
  const parts = ({ session, decodeSeconds }: Round): number => (session.cpuSecondsPerFrame + decodeSeconds) * 1000;
  const ratio = of((round) => perFrame(round) / parts(round));
  const byRole = (role: keyof BoardWindow['cpuByRole']): number =>
    of(({ board }) => (board.cpuByRole[role] / board.frames) * 1000);
  const result = benchmarkResult(
    'pipeline',
    rounds[0].session.release,
    rounds.reduce((sum, round) => sum + round.board.frames, 0),
    {
      ratio,
      maxRatio: options.maxRatio,
      'cpuMsPerFrame.board': of(perFrame),
      'cpuMsPerFrame.board.agent': byRole('agent'),
      'cpuMsPerFrame.board.inference': byRole('inference'),
      'cpuMsPerFrame.board.ffmpeg': byRole('ffmpeg'),
      'cpuMsPerFrame.alone.session': of(({ session }) => session.cpuSecondsPerFrame * 1000),
      'cpuMsPerFrame.alone.ffmpeg': of(({ decodeSeconds }) => decodeSeconds * 1000),
      fps: of(({ board }) => board.frames / board.wallSeconds),
      drops: rounds.reduce((sum, { board }) => sum + board.dropped, 0),
      memoryBytes: of(({ board }) => board.residentBytes),
    },
  );
  const { metrics } = result;
  progress(
    [
      `${rounds[0].session.release.name} ${rounds[0].session.release.version} (${rounds[0].session.precision}), CPU per processed frame, median of ${rounds.length}:`,
      `  whole board            ${ms(metrics['cpuMsPerFrame.board'])}`,
      `    agent                ${ms(metrics['cpuMsPerFrame.board.agent'])}`,
      `    inference child      ${ms(metrics['cpuMsPerFrame.board.inference'])}   session.run alone     ${ms(metrics['cpuMsPerFrame.alone.session'])}`,
      `    ffmpeg               ${ms(metrics['cpuMsPerFrame.board.ffmpeg'])}   decode + scale alone  ${ms(metrics['cpuMsPerFrame.alone.ffmpeg'])}`,
      `  ratio ${ratio.toFixed(3)}, limit ${options.maxRatio}: ${ratio <= options.maxRatio ? 'held' : 'OVER'}`,
    ].join('\n'),
  );
  return { ok: ratio <= options.maxRatio, result };
}
