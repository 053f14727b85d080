import { resolve } from 'node:path';
import type { BenchmarkResult } from '@vigie/protocol';
import type { Command } from 'commander';
import { count, positive } from './command-arguments.js';
import { progress } from './progress.js';
import { runQueryBenchmark } from './server-queries/query-benchmark.js';
import { queryTable } from './server-queries/table.js';

interface QueryOptions {
  devices: number;
  events: number;
  telemetry: number;
  minutes: number;
  hours: number;
  rounds: number;
  phase: number;
  serverCores: number;
  slow: number;
  rollout: boolean;
  keep?: string;
  profile?: string;
  timeout: number;
  json?: boolean;
}

/** `vigie-bench server-queries`: a fleet in the tables, and what the server answers and does with it. */
export function serverQueriesCommand(program: Command): void {
  program
    .command('server-queries')
    .description(
      'answers of one fleet server with its embedded database and a whole fleet in it: idle, under telemetry of all boards, during a rollout to all; and what its duties cost',
    )
    .option('--devices <n>', 'boards in the tables; all speak through one line', count, 10_000)
    .option('--events <n>', 'event messages in the table', count, 100_000)
    .option('--telemetry <n>', 'telemetry messages kept of each board', count, 10)
    .option('--minutes <n>', 'minutes of telemetry of each board', count, 60)
    .option('--hours <n>', 'hours of telemetry of each board', count, 24)
    .option('--rounds <n>', 'how often each question is asked in a phase, at least', count, 30)
    .option('--phase <seconds>', 'least length of a phase', positive, 60)
    .option('--server-cores <n>', 'cores that the server may use, by taskset; 0: all', count, 2)
    .option('--slow <ms>', 'statements that take longer are counted and named', count, 50)
    .option('--no-rollout', 'without the rollout to all boards')
    .option('--keep <dir>', 'keep the seeded folder, and take up the one that is there')
    .option('--profile <dir>', 'write a CPU profile of the server into this folder')
    .option('--timeout <seconds>', 'a phase that is not over by then has failed', positive, 600)
    .option('--json', 'print the result as JSON')
    .action(async (options: QueryOptions) => {
      const result = await runQueryBenchmark({
        ...options,
        devices: Math.max(1, options.devices),
        phaseSeconds: options.phase,
        slowMs: Math.max(1, options.slow),
        directory: options.keep === undefined ? undefined : resolve(options.keep),
        profile: options.profile === undefined ? undefined : resolve(options.profile),
        timeoutMs: options.timeout * 1000,
        onProgress: progress,
      });
      process.stdout.write(
        options.json === true ? `${JSON.stringify(result, null, 2)}\n` : queryTable(result as BenchmarkResult),
      );
    });
}
