import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { unpackArchive } from '@vigie/models/package/archive';
import { type BenchmarkResult, MAX_SERIES_SAMPLES } from '@vigie/protocol';
import { measureModel } from './measure/model-job.js';
import { percentiles } from './measure/percentiles.js';
import { benchmarkResult } from './measure/platform.js';
import { ms, progress } from './progress.js';
import { CLIP, requireFiles, requirePackage } from './rig/repository.js';

export interface RunOptions {
  warmup: number;
  samples: number;
  /** Says nothing on stderr. */
  quiet?: boolean;
}

/** Calls `use` with the package as a folder; a `.vigie` file is unpacked for that time. */
async function withPackageDirectory<T>(path: string, use: (directory: string) => Promise<T>): Promise<T> {
  if ((await stat(path)).isDirectory()) return await use(path);
  const directory = await mkdtemp(join(tmpdir(), 'vigie-package-'));
  try {
    await unpackArchive(await readFile(path), directory);
    return await use(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Latency of a model alone, one thread, by the path it takes in a board's inference child, on frames of the clip. */
export async function runModel(path: string, { quiet = false, ...options }: RunOptions): Promise<BenchmarkResult> {
  requireFiles([CLIP]);
  requirePackage(path);
  const say = quiet ? () => undefined : progress;
  say(`${options.warmup} frames of warm-up, then ${options.samples} samples`);
  const model = await withPackageDirectory(path, (directory) =>
    measureModel({ mode: 'detector', directory, clip: CLIP, ...options }),
  );
  const { p50, p95, p99 } = percentiles(model.latenciesMs);
  const fps = (model.latenciesMs.length * 1000) / model.wallMs;
  say(
    `${model.release.name} ${model.release.version} (${model.precision}): p50 ${ms(p50)}, p95 ${ms(p95)}, p99 ${ms(p99)}, ` +
      `${fps.toFixed(1)} FPS, ${Math.round(model.residentBytes / 1048576)} MiB`,
  );
  const metrics = {
    'latencyMs.p50': p50,
    'latencyMs.p95': p95,
    'latencyMs.p99': p99,
    fps,
    cpuMsPerFrame: model.cpuSecondsPerFrame * 1000,
    memoryBytes: model.residentBytes,
  };
  // The same frames in the same order: two models are compared frame by frame.
  const clip = createHash('sha256')
    .update(await readFile(CLIP))
    .digest('hex');
  const latencyMs = model.latenciesMs.slice(0, MAX_SERIES_SAMPLES).map((ms) => Math.round(ms * 1e4) / 1e4);
  return benchmarkResult('run', model.release, options.samples, metrics, {
    series: { latencyMs },
    pairing: `clip-${clip.slice(0, 32)}-warmup-${options.warmup}`,
  });
}
