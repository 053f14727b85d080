// Times two models against each other in one process on one thread, block by block in turns (A B, B A, A B, ...), so that
// whatever else the machine does meets both alike. Absolute times are of that moment; the ratio is what counts.
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { median, medianInterval } from './quantization-bootstrap.mjs';

const SESSION = {
  executionProviders: ['cpu'],
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  executionMode: 'sequential',
  graphOptimizationLevel: 'all',
  enableCpuMemArena: false,
  extra: { session: { intra_op: { allow_spinning: '0' } } },
  logSeverityLevel: 3,
};

/**
 * @param {Uint8Array} first ONNX bytes
 * @param {Uint8Array} second
 * @param {{blocks: number, blockMs: number}} settings
 * @returns {Promise<{firstMs: number, secondMs: number, ratio: number, low: number, high: number, blocks: number, runsPerBlock: number}>}
 *   median ms of a run; `ratio` first / second: median over pairs of blocks, with its 95 % interval
 */
export async function timeInTurns(first, second, { blocks, blockMs }) {
  const runs = [await open(first), await open(second)];
  for (const run of runs) for (let i = 0; i < 3; i++) await run();
  const once = Math.max(await timed(runs[0]), await timed(runs[1]));
  const runsPerBlock = Math.max(2, Math.round(blockMs / once));
  const ratios = [];
  const all = [[], []];
  for (let block = 0; block < blocks; block++) {
    const medians = [0, 0];
    for (const which of block % 2 === 0 ? [0, 1] : [1, 0]) {
      const times = [];
      for (let i = 0; i < runsPerBlock; i++) times.push(await timed(runs[which]));
      medians[which] = median(times);
      all[which].push(...times);
    }
    ratios.push(medians[0] / medians[1]);
  }
  for (const { close } of runs) await close();
  return {
    firstMs: median(all[0]),
    secondMs: median(all[1]),
    ratio: median(ratios),
    ...medianInterval(ratios),
    blocks,
    runsPerBlock,
  };
}

async function timed(run) {
  const start = performance.now();
  await run();
  return performance.now() - start;
}

async function open(bytes) {
  const session = await InferenceSession.create(bytes, SESSION);
  const [input] = session.inputMetadata;
  const dims = input.shape.map((d) => (typeof d === 'number' && d > 0 ? d : 1));
  const size = dims.reduce((a, b) => a * b, 1);
  // a grey ramp in the middle of the range: values do not change how long an integer or float kernel takes
  const pixel = (i) => (i * 7) % 256;
  const data =
    input.type === 'uint8'
      ? Uint8Array.from({ length: size }, (_, i) => pixel(i))
      : Float32Array.from({ length: size }, (_, i) => pixel(i) / 64 - 2);
  const feeds = { [input.name]: new Tensor(input.type, data, dims) };
  const run = () => session.run(feeds);
  run.close = () => session.release();
  return run;
}
