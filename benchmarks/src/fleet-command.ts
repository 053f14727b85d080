import { resolve } from 'node:path';
import type { BenchmarkResult } from '@vigie/protocol';
import type { Command } from 'commander';
import { count, positive } from './command-arguments.js';
import { runFleetBenchmark } from './fleet/fleet-benchmark.js';
import { defaultProcesses } from './fleet/fleet-options.js';
import { runRealFleet } from './fleet/real-fleet.js';
import { progress } from './progress.js';

interface FleetOptions {
  real?: number;
  devices: number;
  steady: number;
  telemetry: number;
  processes?: number;
  starts: number;
  serverCores: number;
  keep?: string;
  profile?: string;
  rollout: boolean;
  kill: boolean;
  killServer: boolean;
  timeout: number;
  json?: boolean;
}

/** `vigie-bench fleet`: simulated boards by the thousand, or (`--real`) agents as boards run them. */
export function fleetCommand(
  program: Command,
  print: (json: boolean | undefined, result: BenchmarkResult) => void,
): void {
  program
    .command('fleet')
    .description(
      'boards on this machine against one fleet server: connect storm, steady state, a release to all, death of the server',
    )
    .option(
      '--devices <n>',
      'simulated boards: real connections, signatures, chunks and telemetry, no camera',
      count,
      500,
    )
    .option('--steady <seconds>', 'length of the steady state', positive, 60)
    .option('--telemetry <seconds>', 'time between two telemetry messages of a board', positive, 10)
    .option('--processes <n>', 'processes of simulated boards (default: by their number and the cores)', count)
    .option('--starts <n>', 'boards that are switched on in a second; 0: all in one moment', count, 1000)
    .option('--server-cores <n>', 'cores that the server may use, by taskset; 0: all', count, 2)
    .option('--keep <dir>', 'keep the enrolled fleet in this folder, and take up the one that is there')
    .option('--profile <dir>', 'write a CPU profile of the server into this folder')
    .option('--no-rollout', 'no release to all: the connect storm and the steady state alone')
    .option('--no-kill', 'do not SIGKILL the server after the rollout')
    .option('--real <n>', 'real agents instead, all updated at once; fewer where the memory does not suffice', count)
    .option(
      '--kill-server',
      'with --real: SIGKILL the fleet server, its broker with it, in the middle of the update',
      false,
    )
    .option('--timeout <seconds>', 'a phase that is not over by then has failed', positive, 600)
    .option('--json', 'print the result as JSON')
    .action(async (options: FleetOptions) => {
      const ok = options.real === undefined ? await simulated(options) : await real(options, options.real);
      if (!ok) process.exitCode = 1;
    });

  async function simulated(options: FleetOptions): Promise<boolean> {
    const devices = Math.max(1, options.devices);
    const { result, errors } = await runFleetBenchmark({
      devices,
      steadySeconds: options.steady,
      telemetrySeconds: options.telemetry,
      processes: Math.max(1, options.processes ?? defaultProcesses(devices)),
      startsPerSecond: options.starts,
      serverCores: options.serverCores,
      rollout: options.rollout,
      kill: options.kill,
      directory: options.keep,
      profile: options.profile === undefined ? undefined : resolve(options.profile),
      timeoutMs: options.timeout * 1000,
      onProgress: progress,
    });
    print(options.json, result);
    return errors.length === 0;
  }

  async function real(options: FleetOptions, boards: number): Promise<boolean> {
    const { result, behind } = await runRealFleet({
      boards: Math.max(1, boards),
      kill: options.killServer ? 'server' : null,
      timeoutMs: options.timeout * 1000,
      onProgress: progress,
    });
    for (const line of behind) progress(`behind: ${line}`);
    print(options.json, result);
    return behind.length === 0;
  }
}
