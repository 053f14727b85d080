import { cpus } from 'node:os';
import type { BenchmarkResult } from '@vigie/protocol';

export interface FleetBenchmarkOptions {
  devices: number;
  /** Length of the steady state, s. */
  steadySeconds: number;
  /** Seconds between two telemetry messages of a board. */
  telemetrySeconds: number;
  /** Processes of simulated boards. */
  processes: number;
  /** Boards that are switched on in a second; 0: all in one moment. */
  startsPerSecond: number;
  /** Cores that the server may use; 0: all. */
  serverCores: number;
  /** A release to all boards after the steady state. */
  rollout: boolean;
  /** SIGKILL the server, its broker with it, and measure how the fleet comes back. */
  kill: boolean;
  /** A folder that keeps the enrolled fleet for the next run; absent: a temporary one. */
  directory?: string;
  /** Folder for a CPU profile of the server. */
  profile?: string;
  /** Longest time for one phase, ms. */
  timeoutMs: number;
  onProgress(line: string): void;
}

export interface FleetBenchmarkOutcome {
  result: BenchmarkResult;
  /** What went wrong, in words; empty when nothing did. */
  errors: string[];
}

/** What a fleet that is kept remembers beside the server's folder and the identities. */
export interface FleetState {
  adminToken: string;
  ports: number[];
  /** Package digest of what every board was given last. */
  lastDigest: string | null;
}

/** How many processes of boards the machine carries beside the server. */
export function defaultProcesses(devices: number): number {
  return Math.max(1, Math.min(Math.max(1, cpus().length - 2), Math.ceil(devices / 500)));
}
