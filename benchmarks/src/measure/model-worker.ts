import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type OpenPackage, openPackageDirectory } from '@vigie/models/package/package';
import { loadModel } from '@vigie/models/runtime/load-model';
import { makePreprocessor } from '@vigie/models/runtime/preprocess';
import '@vigie/models/runtime/onnx-session-telemetry';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { runCommand } from '../rig/command.js';
import { decodeArguments, modelFrameFilter, splitFrames } from './clip-frames.js';
import type { ModelJob, ModelJobResult } from './model-job.js';

/**
 * A model alone in a process of its own, on real frames of a clip. Mode `detector`: the child's path (preprocess, run,
 * decode, NMS). Mode `session`: ONNX Runtime's `session.run` and nothing else, the unavoidable part of that.
 * Takes a ModelJob as JSON in its only argument, prints a ModelJobResult.
 */

/** Every n-th frame of the clip, so that frames with and without people are among them. */
const FRAME_STEP = 10;

async function clipFrames(job: ModelJob, open: OpenPackage): Promise<Uint8Array[]> {
  const { input } = open.manifest;
  const filter = `select=not(mod(n\\,${FRAME_STEP})),${modelFrameFilter(input)}`;
  const raw = await runCommand('ffmpeg', 'ffmpeg', [
    ...decodeArguments(job.clip, 1),
    ...['-vf', filter, '-vsync', '0', '-f', 'rawvideo', '-pix_fmt', 'gbrp', 'pipe:1'],
  ]);
  return splitFrames(raw, 3 * input.width * input.height);
}

async function detectorStep(
  job: ModelJob,
  open: OpenPackage,
  frames: Uint8Array[],
): Promise<(index: number) => Promise<void>> {
  const model = await loadModel(job.directory, open);
  const { width, height } = open.manifest.input;
  const planar = frames.map((data) => ({ width, height, data }));
  return async (index) => {
    await model.detect(planar[index % planar.length]);
  };
}

/** The same session options as the runtime's own (models/src/runtime/onnx-session.ts). */
async function sessionStep(
  job: ModelJob,
  open: OpenPackage,
  frames: Uint8Array[],
): Promise<(index: number) => Promise<void>> {
  const { input, model } = open.manifest;
  const session = await InferenceSession.create(await readFile(join(job.directory, model.file)), {
    executionProviders: ['cpu'],
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
    enableCpuMemArena: false,
    extra: { session: { intra_op: { allow_spinning: '0' } } },
    logSeverityLevel: 3,
  });
  const feeds = frames.map((frame) => {
    const { data, dims, write } = makePreprocessor(input);
    write(frame);
    const tensor = data instanceof Uint8Array ? new Tensor('uint8', data, dims) : new Tensor('float32', data, dims);
    return { [input.name]: tensor };
  });
  const first = await session.run(feeds[0]);
  const fetches = Object.fromEntries(
    Object.entries(first).map(([name, tensor]) => [
      name,
      new Tensor('float32', new Float32Array(tensor.data as Float32Array), tensor.dims),
    ]),
  );
  return async (index) => {
    await session.run(feeds[index % feeds.length], fetches);
  };
}

async function measure(job: ModelJob): Promise<ModelJobResult> {
  const open = await openPackageDirectory(job.directory);
  const frames = await clipFrames(job, open);
  const step = await (job.mode === 'detector' ? detectorStep : sessionStep)(job, open, frames);
  for (let index = 0; index < job.warmup; index += 1) await step(index);

  const latenciesMs = new Float64Array(job.samples);
  const cpuBefore = process.cpuUsage();
  const start = performance.now();
  for (let index = 0; index < job.samples; index += 1) {
    const began = performance.now();
    await step(index);
    latenciesMs[index] = performance.now() - began;
  }
  const wallMs = performance.now() - start;
  const cpu = process.cpuUsage(cpuBefore);
  const { name, version } = open.manifest;
  return {
    release: { name, version, digest: open.digest },
    precision: open.manifest.model.precision,
    input: open.manifest.input,
    latenciesMs: [...latenciesMs],
    wallMs,
    cpuSecondsPerFrame: (cpu.user + cpu.system) / 1e6 / job.samples,
    residentBytes: process.memoryUsage.rss(),
  };
}

const result = await measure(JSON.parse(process.argv[2]) as ModelJob);
process.stdout.write(JSON.stringify(result), () => process.exit(0));
