import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type GraphModel, loadGraphModel } from '@tensorflow/tfjs-converter';
import * as tf from '@tensorflow/tfjs-core';
import { sha256Hex } from '../package/digest.js';
import type { OpenPackage } from '../package/package.js';
import { PackageError } from '../package/package-error.js';
import { checkTfjsShards, parseTfjsModel, type TfjsModelFile } from '../package/tfjs-files.js';
import type { OutputTensor } from './decoder.js';
import type { Engine, ModelInput, ModelOutput, ModelValue } from './engine.js';
import { tfjsBackend } from './tfjs-backend.js';

export interface TfjsEngineOptions {
  /** Threads inside one operator, where the backend has threads; 1 when absent. */
  threads?: number;
}

/** Values of the inputs, by a name the model knows them by. */
type Feeds = Record<string, tf.Tensor>;

/** What the two formats of TensorFlow.js have in common. */
interface TfjsModel {
  inputs: ModelInput[];
  outputs: ModelOutput[];
  /** The outputs called `names`, in that order; undefined from a model that can only be run by `runAsync`. */
  run(feeds: Feeds, names: readonly string[]): tf.Tensor[] | undefined;
  runAsync?(feeds: Feeds, names: readonly string[]): Promise<tf.Tensor[]>;
  dispose(): void;
}

/**
 * Loads a checked package's graph model or layers model into TensorFlow.js. The bytes that are loaded are the bytes that
 * were hashed, and they come from the package's own files: no address in the model is followed.
 * Throws FILE_MISSING, DIGEST_MISMATCH, PATH_UNSAFE, TOO_LARGE, MODEL_LOAD_FAILED, ENGINE_UNSUPPORTED.
 */
export async function openTfjsEngine(
  directory: string,
  open: Pick<OpenPackage, 'manifest' | 'files'>,
  options: TfjsEngineOptions = {},
): Promise<Engine> {
  const path = open.manifest.model.file;
  const files = new Map(open.files.map((file) => [file.path, file]));
  const read = async (name: string): Promise<Buffer> => {
    const bytes = await readFile(join(directory, name)).catch((error: NodeJS.ErrnoException) => {
      throw new PackageError('FILE_MISSING', `${name} cannot be read (${error.code})`, { cause: error });
    });
    if (sha256Hex(bytes) === files.get(name)?.sha256) return bytes;
    throw new PackageError('DIGEST_MISMATCH', `${name} changed since the package was checked; install it again`);
  };
  const file = parseTfjsModel(await read(path), path);
  checkTfjsShards(file, path, files);
  const shards: Buffer[] = [];
  for (const group of file.groups) for (const shard of group.paths) shards.push(await read(shard));
  const { runtime } = await tfjsBackend(options);
  const handler = { load: async () => artifactsOf(file, joined(shards)) };
  try {
    const model = file.kind === 'graph' ? graphModel(await loadGraphModel(handler)) : await layersModel(handler);
    return engineOf(model, runtime);
  } catch (error) {
    const detail = error instanceof Error ? error.message.split('\n')[0] : String(error);
    throw new PackageError('MODEL_LOAD_FAILED', `${path} is refused by TensorFlow.js: ${detail}`, { cause: error });
  }
}

/** One ArrayBuffer of its own: TensorFlow.js keeps views into it, and small Buffers share theirs. */
function joined(shards: readonly Buffer[]): ArrayBuffer {
  const whole = new Uint8Array(shards.reduce((sum, shard) => sum + shard.length, 0));
  let at = 0;
  for (const shard of shards) {
    whole.set(shard, at);
    at += shard.length;
  }
  return whole.buffer;
}

/** Named one by one: what else a file holds is not TensorFlow.js' to act on. */
function artifactsOf(file: TfjsModelFile, weightData: ArrayBuffer): tf.io.ModelArtifacts {
  const document = file.document as Partial<tf.io.ModelArtifacts>;
  const { modelTopology, format, signature, userDefinedMetadata, modelInitializer, initializerSignature } = document;
  return {
    modelTopology,
    format,
    signature,
    userDefinedMetadata,
    modelInitializer,
    initializerSignature,
    weightSpecs: file.groups.flatMap((group) => group.weights) as tf.io.WeightsManifestEntry[],
    weightData,
  };
}

function engineOf(model: TfjsModel, runtime: string): Engine {
  const bind: Engine['bind'] = ({ name, data, dims }, outputs, constants = {}) => {
    const names = outputs.map((output) => output.name);
    const feeds = (): Feeds => {
      const others = Object.entries(constants).map(([other, values]): [string, tf.Tensor] => [
        other,
        inputTensor(model, other, values, undefined),
      ]);
      return { [name]: inputTensor(model, name, data, dims), ...Object.fromEntries(others) };
    };
    return async () => {
      const results = scoped(() => {
        const tensors = model.run(feeds(), names);
        return tensors && readOutputs(names, tensors);
      });
      return results ?? runAsync(model, feeds(), names);
    };
  };
  return { runtime, inputs: model.inputs, outputs: model.outputs, bind, close: async () => model.dispose() };
}

/** TensorFlow.js has no uint8 tensors: models that take bytes declare int32. Sizes not given are the declared ones. */
function inputTensor(
  model: TfjsModel,
  name: string,
  values: ArrayLike<number>,
  given: readonly number[] | undefined,
): tf.Tensor {
  const input = model.inputs.find(({ names }) => names.includes(name));
  const declared = input?.dims ?? [values.length];
  const known = declared.reduce<number>((product, size) => product * (size ?? 1), 1);
  // What is left open takes all that is left, the first of several.
  const open = declared.indexOf(null);
  const dims = given ?? declared.map((size, axis) => size ?? (axis === open ? values.length / known : 1));
  if (input?.dtype === 'int32') return tf.tensor(Int32Array.from(values), [...dims], 'int32');
  return tf.tensor(values instanceof Float32Array ? values : Float32Array.from(values), [...dims], 'float32');
}

/** Frees every tensor made in `work`. */
function scoped<T>(work: () => T): T {
  tf.engine().startScope('vigie');
  try {
    return work();
  } finally {
    tf.engine().endScope();
  }
}

/** Outside a scope, which must not be left open while others run: freed one by one. */
async function runAsync(
  model: TfjsModel,
  feeds: Feeds,
  names: readonly string[],
): Promise<Record<string, OutputTensor>> {
  let results: tf.Tensor[] = [];
  try {
    results = (await model.runAsync?.(feeds, names)) ?? [];
    return readOutputs(names, results);
  } finally {
    tf.dispose([...Object.values(feeds), ...results]);
  }
}

function readOutputs(names: readonly string[], tensors: readonly tf.Tensor[]): Record<string, OutputTensor> {
  return Object.fromEntries(
    names.map((name, index): [string, OutputTensor] => {
      const values = tensors[index].dataSync<'float32' | 'int32'>();
      return [
        name,
        { data: values instanceof Float32Array ? values : Float32Array.from(values), dims: tensors[index].shape },
      ];
    }),
  );
}

function graphModel(model: GraphModel): TfjsModel {
  type Side = Record<string, { name?: string }> | undefined;
  const signature = model.modelSignature as { inputs?: Side; outputs?: Side } | undefined;
  const values = (side: 'inputs' | 'outputs'): ModelValue[] =>
    (model[side] as { name: string; shape?: number[]; dtype?: string }[]).map(({ name, shape, dtype }) => ({
      names: namesOf(name, signature?.[side]),
      dtype,
      dims: shape?.map((size) => (size >= 0 ? size : null)),
    }));
  let asynchronous = false;
  return {
    inputs: values('inputs').map(fed),
    outputs: values('outputs').map(readable),
    run: (feeds, names) => {
      if (asynchronous) return undefined;
      try {
        return listed(model.execute(feeds, [...names]));
      } catch (error) {
        // Control flow (and old non-maximum suppression) can only be run the other way, from now on.
        if (!(error instanceof Error) || !error.message.includes('executeAsync')) throw error;
        asynchronous = true;
        return undefined;
      }
    },
    runAsync: async (feeds, names) => listed(await model.executeAsync(feeds, [...names])),
    dispose: () => model.dispose(),
  };
}

function namesOf(node: string, signature: Record<string, { name?: string }> | undefined): string[] {
  const keys = Object.entries(signature ?? {}).filter(([, { name }]) => name === node || name === `${node}:0`);
  return [...new Set([node, `${node}:0`, ...keys.map(([key]) => key)])];
}

async function layersModel(handler: tf.io.IOHandler): Promise<TfjsModel> {
  const { loadLayersModel, Sequential } = await import('@tensorflow/tfjs-layers');
  const model = await loadLayersModel(handler);
  // A sequential model knows the names of its ends only once it was built.
  if (model instanceof Sequential) model.build();
  const values = (names: string[], tensors: { shape: (number | null)[]; dtype: string }[]): ModelValue[] =>
    names.map((name, index) => ({ names: [name], dtype: tensors[index].dtype, dims: tensors[index].shape }));
  return {
    inputs: values(model.inputNames, model.inputs).map(fed),
    outputs: values(model.outputNames, model.outputs).map(readable),
    run: (feeds, names) => {
      const all = listed(model.predict(model.inputNames.map((name) => feeds[name])));
      return names.map((name) => all[model.outputNames.indexOf(name)]);
    },
    dispose: () => {
      model.dispose();
    },
  };
}

function listed(result: unknown): tf.Tensor[] {
  return (Array.isArray(result) ? result : [result]) as tf.Tensor[];
}

function fed(value: ModelValue): ModelInput {
  const constant = value.dtype === 'int32' || value.dtype === 'float32';
  return { ...value, constant, feeds: value.dtype === 'int32' ? ['uint8'] : constant ? ['float32'] : [] };
}

function readable(value: ModelValue): ModelOutput {
  return { ...value, readable: value.dtype !== 'string' && value.dtype !== 'complex64' };
}
