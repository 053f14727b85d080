import { readFile } from 'node:fs/promises';
import '../runtime/onnx-session-telemetry.js';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { guardOnnx } from '../package/onnx-guard.js';
import { PackageError } from '../package/package-error.js';
import { serveJobs } from './serve-jobs.js';

/** Most values of one input that is made up here. */
const MAX_VALUES = 16 * 1024 * 1024;

/**
 * Sandboxed: a job is `{file: PATH}` of an ONNX file of unknown origin. Loads it into ONNX Runtime and runs it once on zeros (unknown
 * dimensions are 1); answers the names of inputs and outputs. Refuses with MODEL_EXTERNAL_DATA, MODEL_LOAD_FAILED, MODEL_INPUT_MISMATCH,
 * MODEL_OUTPUT_MISMATCH (it loads and does not run).
 */
await serveJobs(async (job) => load(await readFile((job as { file: string }).file)), [PackageError]);

async function load(bytes: Buffer): Promise<{ inputs: string[]; outputs: string[] }> {
  guardOnnx(bytes, 'model');
  const session = await InferenceSession.create(bytes, {
    executionProviders: ['cpu'],
    intraOpNumThreads: 1,
    enableCpuMemArena: false,
    logSeverityLevel: 4,
  }).catch((error: Error) => {
    throw new PackageError('MODEL_LOAD_FAILED', `the model is refused by ONNX Runtime: ${error.message}`);
  });
  try {
    const feeds = Object.fromEntries(session.inputMetadata.map((input) => [input.name, zeros(input)]));
    await session.run(feeds).catch((error: Error) => {
      throw new PackageError('MODEL_OUTPUT_MISMATCH', `the model does not run: ${error.message}`);
    });
    return { inputs: [...session.inputNames], outputs: [...session.outputNames] };
  } finally {
    await session.release();
  }
}

function zeros(input: InferenceSession.ValueMetadata): Tensor {
  if (!input.isTensor) throw new PackageError('MODEL_INPUT_MISMATCH', `input "${input.name}" is no tensor`);
  const dims = input.shape.map((size) => (typeof size === 'number' && size > 0 ? size : 1));
  const count = dims.reduce((product, size) => product * size, 1);
  if (count > MAX_VALUES) {
    throw new PackageError(
      'MODEL_INPUT_MISMATCH',
      `input "${input.name}" has ${count} values; ${MAX_VALUES} are tried at most`,
    );
  }
  if (input.type === 'float32') return new Tensor('float32', new Float32Array(count), dims);
  if (input.type === 'uint8') return new Tensor('uint8', new Uint8Array(count), dims);
  if (input.type === 'int64') return new Tensor('int64', new BigInt64Array(count), dims);
  throw new PackageError(
    'MODEL_INPUT_MISMATCH',
    `input "${input.name}" is ${input.type}; float32, uint8 and int64 are tried`,
  );
}
