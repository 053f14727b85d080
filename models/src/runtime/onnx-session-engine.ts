import './onnx-session-telemetry.js';
import { env, InferenceSession, Tensor } from 'onnxruntime-node';
import { guardOnnx } from '../package/onnx-guard.js';
import { PackageError } from '../package/package-error.js';
import type { OutputTensor } from './decoder.js';
import type { Engine, ModelInput, ModelOutput } from './engine.js';
import { floatToHalf, halfToFloat } from './float16.js';

export interface OnnxEngineOptions {
  /** Threads inside one operator; 1 when absent: a board has other work to do. */
  threads?: number;
}

/** Element types whose values become numbers; strings and 4-bit values do not. */
const READABLE = new Set([
  ...[
    'float32',
    'float64',
    'float16',
    'int64',
    'uint64',
    'int32',
    'uint32',
    'int16',
    'uint16',
    'int8',
    'uint8',
    'bool',
  ],
]);

/** Element types of the small inputs that some exports want beside the picture: its size, its scale, thresholds. */
const CONSTANTS = new Set(['float32', 'int64', 'int32']);

/**
 * Opens the bytes of an ONNX file in ONNX Runtime. `file` is its name in messages. From memory, and guarded: a model cannot
 * pull in other files. Throws MODEL_LOAD_FAILED, MODEL_EXTERNAL_DATA.
 */
export async function openOnnxEngine(
  bytes: Uint8Array,
  file: string,
  options: OnnxEngineOptions = {},
): Promise<Engine> {
  guardOnnx(bytes, file);
  const session = await createSession(bytes, file, options.threads ?? 1);
  return {
    runtime: `onnxruntime-node ${env.versions.node ?? env.versions.common} cpu`,
    inputs: session.inputMetadata.map(describeInput),
    outputs: session.outputMetadata.map(describeOutput),
    bind: (...request) => bind(session, ...request),
    close: () => session.release(),
  };
}

async function createSession(bytes: Uint8Array, file: string, threads: number): Promise<InferenceSession> {
  try {
    return await InferenceSession.create(bytes, {
      executionProviders: ['cpu'],
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      executionMode: 'sequential',
      graphOptimizationLevel: 'all',
      // Memory goes back when a slot's model is released, and idle threads do not spin on a small board.
      enableCpuMemArena: false,
      extra: { session: { intra_op: { allow_spinning: '0' } } },
      logSeverityLevel: 3,
    });
  } catch (error) {
    const detail = error instanceof Error ? error.message.split('\n')[0] : String(error);
    throw new PackageError('MODEL_LOAD_FAILED', `${file} is refused by ONNX Runtime: ${detail}`, { cause: error });
  }
}

function describeInput(value: InferenceSession.ValueMetadata): ModelInput {
  if (!value.isTensor) return { names: [value.name], dtype: 'no tensor', dims: undefined, feeds: [] };
  const { type } = value;
  const feeds: ModelInput['feeds'] =
    type === 'uint8' ? ['uint8'] : type === 'float32' || type === 'float16' ? ['float32'] : [];
  return { names: [value.name], dtype: type, dims: sizes(value.shape), feeds, constant: CONSTANTS.has(type) };
}

function describeOutput(value: InferenceSession.ValueMetadata): ModelOutput {
  if (!value.isTensor) return { names: [value.name], dtype: 'no tensor', dims: undefined, readable: false };
  return { names: [value.name], dtype: value.type, dims: sizes(value.shape), readable: READABLE.has(value.type) };
}

/** Symbolic sizes (`batch`, `N`) are unknown; some exporters write -1 or 0 for them. */
function sizes(shape: readonly (number | string)[]): (number | null)[] {
  return shape.map((size) => (typeof size === 'number' && size > 0 ? size : null));
}

const bind = (
  session: InferenceSession,
  ...[input, outputs, constants = {}]: Parameters<Engine['bind']>
): ReturnType<Engine['bind']> => {
  const feed = bindInput(session, input);
  const feeds: Record<string, Tensor> = { [input.name]: feed.tensor };
  for (const [name, values] of Object.entries(constants)) feeds[name] = constantTensor(session, name, values);
  // ONNX Runtime writes into given tensors on every run (measured); those of known size are allocated here, once.
  const fetches: Record<string, Tensor | null> = {};
  const fixed: Record<string, OutputTensor> = {};
  for (const { name, dims } of outputs) {
    const metadata = session.outputMetadata.find((output) => output.name === name);
    if (dims === undefined || !metadata?.isTensor || metadata.type !== 'float32') {
      fetches[name] = null;
      continue;
    }
    const data = new Float32Array(dims.reduce((product, dim) => product * dim, 1));
    fetches[name] = new Tensor('float32', data, dims);
    fixed[name] = { data, dims };
  }
  const open = outputs.map(({ name }) => name).filter((name) => fixed[name] === undefined);
  return async () => {
    feed.refresh?.();
    const results = await session.run(feeds, fetches);
    if (open.length === 0) return fixed;
    const tensors = { ...fixed };
    for (const name of open) tensors[name] = toFloats(results[name]);
    return tensors;
  };
};

function bindInput(
  session: InferenceSession,
  { name, data, dims }: Parameters<Engine['bind']>[0],
): { tensor: Tensor; refresh?: () => void } {
  if (data instanceof Uint8Array) return { tensor: new Tensor('uint8', data, dims) };
  const metadata = session.inputMetadata.find((input) => input.name === name);
  if (!metadata?.isTensor || metadata.type !== 'float16') return { tensor: new Tensor('float32', data, dims) };
  const halves = new Uint16Array(data.length);
  const refresh = (): void => {
    for (let i = 0; i < data.length; i++) halves[i] = floatToHalf(data[i]);
  };
  return { tensor: new Tensor('float16', halves, dims), refresh };
}

/** Of the type that the model declares; sizes that it leaves open are 1. */
export function constantTensor(session: InferenceSession, name: string, values: readonly number[]): Tensor {
  const metadata = session.inputMetadata.find((input) => input.name === name);
  if (!metadata?.isTensor) throw new RangeError(`the model has no input "${name}"`);
  const dims = sizes(metadata.shape).map((size) => size ?? 1);
  if (metadata.type === 'int64')
    return new Tensor(
      'int64',
      BigInt64Array.from(values, (v) => BigInt(Math.round(v))),
      dims,
    );
  if (metadata.type === 'int32') return new Tensor('int32', Int32Array.from(values, Math.round), dims);
  return new Tensor('float32', Float32Array.from(values), dims);
}

function toFloats(tensor: Tensor): OutputTensor {
  const { data, dims, type } = tensor;
  if (data instanceof Float32Array) return { data, dims };
  // Node 20 and 22 have no Float16Array: the values come as their bits.
  if (type === 'float16' && data instanceof Uint16Array) return { data: Float32Array.from(data, halfToFloat), dims };
  const values = data as ArrayLike<number | bigint>;
  const floats = new Float32Array(values.length);
  for (let i = 0; i < floats.length; i++) floats[i] = Number(values[i]);
  return { data: floats, dims };
}
