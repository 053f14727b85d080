#!/usr/bin/env node
import { resolve } from 'node:path';
import type { BenchmarkResult } from '@vigie/protocol';
import { Command } from 'commander';
import { count, positive } from './command-arguments.js';
import { runEndToEnd } from './endtoend-command.js';
import { fleetCommand } from './fleet-command.js';
import { GATE_EXIT, gateText, runGate } from './gate-command.js';
import { runPipeline } from './pipeline-command.js';
import { progress } from './progress.js';
import { markdownReport } from './report.js';
import { readResult } from './result-file.js';
import { INT8_PACKAGE, MissingPieceError } from './rig/repository.js';
import { runModel } from './run-command.js';
import { serverQueriesCommand } from './server-queries-command.js';
import { HALF_CORE_FPS, runSwaps } from './swap-command.js';

/** Exit codes: 0 every limit held, 1 a limit was missed or the measurement failed, 2 wrong use or something is missing. */
const LIMIT_MISSED = 1;
const WRONG_USE = 2;

/** The result on stdout: the document itself for programs, a table of its figures for people. */
function print(json: boolean | undefined, result: BenchmarkResult): void {
  process.stdout.write(json === true ? `${JSON.stringify(result, null, 2)}\n` : `\n${markdownReport([result])}`);
}

const program = new Command('vigie-bench')
  .description(
    'Measures models, whole boards and model swaps. Progress on stderr; --json prints one result document on stdout.',
  )
  .configureOutput({ writeErr: (text) => process.stderr.write(text) })
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : WRONG_USE));

program
  .command('run')
  .description('latency of a model alone, by the path it takes in a board: preprocess, run, decode, NMS; one thread')
  .argument('<package>', 'folder or .vigie file')
  .option('--samples <n>', 'frames that count', count, 300)
  .option('--warmup <n>', 'frames before them', count, 20)
  .option('--json', 'print the result as JSON')
  .action(async (path: string, options: { samples: number; warmup: number; json?: boolean }) => {
    print(options.json, await runModel(resolve(path), options));
  });

program
  .command('pipeline')
  .description('CPU seconds per frame of the whole board over those of its unavoidable parts alone')
  .option('--package <dir>', 'unpacked package', INT8_PACKAGE)
  .option('--loops <n>', 'rounds of the clip per measurement', count, 4)
  .option('--rounds <n>', 'measurements of each kind, taken in turn', count, 3)
  .option('--max-ratio <ratio>', 'exit 1 above this', positive, 1.35)
  .option('--json', 'print the result as JSON')
  .action(async (options: { package: string; loops: number; rounds: number; maxRatio: number; json?: boolean }) => {
    const { ok, result } = await runPipeline({
      ...options,
      package: resolve(options.package),
      loops: Math.max(1, options.loops),
      rounds: Math.max(1, options.rounds),
    });
    print(options.json, result);
    if (!ok) process.exitCode = LIMIT_MISSED;
  });

program
  .command('endtoend')
  .description('frames per second that reach an MJPEG viewer when the source is unpaced')
  .option('--package <dir>', 'unpacked package', INT8_PACKAGE)
  .option('--frames <n>', 'frames to measure over', count, 460)
  .option('--viewers <n>', 'MJPEG viewers', count, 1)
  .option('--half-core', 'give the board half a core and 512 MiB (needs root and control groups)', false)
  .option('--min-fps <fps>', 'exit 1 below this', positive, 11)
  .option('--json', 'print the result as JSON')
  .action(
    async (options: {
      package: string;
      frames: number;
      viewers: number;
      halfCore: boolean;
      minFps: number;
      json?: boolean;
    }) => {
      const { ok, result } = await runEndToEnd({ ...options, package: resolve(options.package) });
      print(options.json, result);
      if (!ok) process.exitCode = LIMIT_MISSED;
    },
  );

program
  .command('swap')
  .description('what a model swap does to the stream, counted by clients outside the board; FP32 and INT8 in turn')
  .option('--swaps <n>', 'how many; 100 take about 25 minutes, 20 with --steady 3', count, 4)
  .option('--half-core', 'give the board half a core and 512 MiB (needs root and control groups)', false)
  .option(
    '--fps <n>',
    `frames per second of the camera (default: ${HALF_CORE_FPS} with --half-core, else the clip's 10)`,
    positive,
  )
  .option('--steady <seconds>', 'undisturbed stream before each swap', positive, 6)
  .option('--resume <file>', 'write each swap to this file, and go on after those that it holds')
  .option('--json', 'print the result as JSON')
  .action(
    async (options: {
      swaps: number;
      halfCore: boolean;
      fps?: number;
      steady: number;
      resume?: string;
      json?: boolean;
    }) => {
      const { ok, result } = await runSwaps({
        swaps: Math.max(1, options.swaps),
        halfCore: options.halfCore,
        fps: options.fps ?? (options.halfCore ? HALF_CORE_FPS : undefined),
        steadyMs: options.steady * 1000,
        resume: options.resume,
      });
      print(options.json, result);
      if (!ok) process.exitCode = LIMIT_MISSED;
    },
  );

fleetCommand(program, print);
serverQueriesCommand(program);

program
  .command('gate')
  .description(
    'judge results of one release by a gate policy, as the fleet server does; exit 0 pass, 1 fail, 2 inconclusive',
  )
  .requiredOption('--policy <file>', 'YAML or JSON, see docs/gates.md')
  .argument('<results...>', 'JSON files of the release')
  .option('--champion <results...>', 'JSON files of the release that it is held against')
  .option('--json', 'print the verdict with all inputs as JSON')
  .action(async (paths: string[], options: { policy: string; champion?: string[]; json?: boolean }) => {
    const verdict = await runGate({ policy: options.policy, results: paths, champion: options.champion });
    process.stdout.write(options.json === true ? `${JSON.stringify(verdict, null, 2)}\n` : gateText(verdict));
    process.exitCode = GATE_EXIT[verdict.verdict];
  });

program
  .command('report')
  .description('Markdown tables from result documents')
  .argument('<results...>', 'JSON files')
  .option('--json', 'print {markdown, results} as JSON')
  .action(async (paths: string[], options: { json?: boolean }) => {
    const results = await Promise.all(paths.map(readResult));
    const markdown = markdownReport(results);
    process.stdout.write(options.json === true ? `${JSON.stringify({ markdown, results }, null, 2)}\n` : markdown);
  });

try {
  await program.parseAsync();
} catch (error) {
  progress(`vigie-bench: ${(error as Error).message}`);
  process.exitCode = error instanceof MissingPieceError ? WRONG_USE : LIMIT_MISSED;
}
