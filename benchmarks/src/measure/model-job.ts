import { fileURLToPath } from 'node:url';
import type { InputSpec } from '@vigie/models/package/manifest';
import type { ReleaseReference } from '@vigie/protocol';
import { runCommand } from '../rig/command.js';

/** What a worker shall measure. */
export interface ModelJob {
  mode: 'detector' | 'session';
  /** Unpacked package. */
  directory: string;
  clip: string;
  /** Runs before the first that counts. */
  warmup: number;
  samples: number;
}

export interface ModelJobResult {
  release: ReleaseReference;
  precision: string;
  input: InputSpec;
  /** One per sample, ms. */
  latenciesMs: number[];
  wallMs: number;
  /** User and system time of the whole process during the samples, s per sample. */
  cpuSecondsPerFrame: number;
  /** Resident set at the end, the clip's frames included, bytes. */
  residentBytes: number;
}

const WORKER = fileURLToPath(new URL('./model-worker.js', import.meta.url));

/** Measures a model in a process of its own: its memory and CPU time are then nobody else's. */
export async function measureModel(job: ModelJob): Promise<ModelJobResult> {
  const stdout = await runCommand(`measuring ${job.directory}`, process.execPath, [WORKER, JSON.stringify(job)], {
    timeoutMs: 600_000,
  });
  return JSON.parse(stdout.toString('utf8')) as ModelJobResult;
}
