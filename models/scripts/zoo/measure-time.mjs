// Times models against each other in one process on one thread, in turns, so that whatever else the machine does meets
// all alike. Milliseconds are of that moment and machine; the ratios are what counts.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { openPackageDirectory } from '../../dist/package/package.js';
import { loadModel } from '../../dist/runtime/load-model.js';
import { clipFrames } from './measure-accuracy.mjs';
import { material, models, round } from './places.mjs';

const ROUNDS = 24;
const WARM_UP = 2;
/** Runs of one model in a turn; the first, which finds the others' weights in the cache, does not count. */
const RUNS = 5;
const YOLOX = join(material, 'models', 'yolox_nano_416_coco.onnx');

/**
 * @param {string[]} directories the first is what the others are compared with
 * @param {{yolox: boolean}} options whether YOLOX-Nano takes part
 * @returns {Promise<Map<string, {p50: number, ratio: number}>>} by folder: ms of the model alone; how often it runs
 *   while the first runs once, median over rounds; YOLOX-Nano 416 under `yolox`, when it is on this machine
 */
export async function timeInTurns(directories, { yolox }) {
  const runners = new Map();
  for (const directory of directories) runners.set(directory, await packageRunner(directory));
  if (yolox && existsSync(YOLOX)) runners.set('yolox', await yoloxRunner());
  const times = new Map([...runners.keys()].map((key) => [key, []]));
  for (let index = -WARM_UP; index < ROUNDS; index++) {
    const order = index % 2 === 0 ? [...runners] : [...runners].reverse();
    for (const [key, run] of order) {
      const turn = [];
      for (let i = 0; i < RUNS; i++) turn.push(await run());
      if (index >= 0) times.get(key).push(median(turn.slice(1)));
    }
  }
  for (const run of runners.values()) await run.close();
  const first = times.get(directories[0]);
  return new Map(
    [...times].map(([key, of]) => [
      key,
      { p50: round(median(of), 2), ratio: round(median(of.map((ms, index) => first[index] / ms)), 2) },
    ]),
  );
}

async function packageRunner(directory) {
  const model = await loadModel(directory, await openPackageDirectory(directory), { threads: 1 });
  const { input } = model;
  const frames = clipFrames(input, join(models, 'media', 'yard.mp4')).filter((_, index) => index % 8 === 0);
  let turn = 0;
  const run = async () => (await model.detect(frames[turn++ % frames.length])).stagesMs.inference;
  return Object.assign(run, { close: () => model.close() });
}

/** The bare session, as other projects run it. */
async function yoloxRunner() {
  const session = await InferenceSession.create(YOLOX, {
    executionProviders: ['cpu'],
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    enableCpuMemArena: false,
    extra: { session: { intra_op: { allow_spinning: '0' } } },
    logSeverityLevel: 3,
  });
  const data = Float32Array.from({ length: 3 * 416 * 416 }, (_, index) => (index * 7) % 256);
  const feeds = { images: new Tensor('float32', data, [1, 3, 416, 416]) };
  const run = async () => {
    const start = performance.now();
    await session.run(feeds);
    return performance.now() - start;
  };
  return Object.assign(run, { close: () => session.release() });
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1];
}
