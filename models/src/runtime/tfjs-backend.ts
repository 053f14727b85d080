import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import * as wasm from '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import { PackageError } from '../package/package-error.js';

/** Where TensorFlow.js calculates; one for the whole process, as TensorFlow.js has it. */
export interface TfjsBackend {
  /** E.g. `tfjs-backend-wasm 4.22.0 simd` or `tfjs-node 4.22.0`. */
  readonly runtime: string;
}

export interface TfjsBackendOptions {
  /** Threads inside one operator (tfjs-node only: the WASM backend has one thread in Node). */
  threads?: number;
  /** Tests put a stand-in here. */
  importNative?: () => Promise<unknown>;
}

let chosen: Promise<TfjsBackend> | undefined;

/**
 * `@tensorflow/tfjs-node` when it is installed and calculates, WebAssembly otherwise. Decided once; `threads` counts for
 * the first call. Throws ENGINE_UNSUPPORTED when neither works.
 */
export function tfjsBackend(options: TfjsBackendOptions = {}): Promise<TfjsBackend> {
  chosen ??= chooseTfjsBackend(options).catch((error: unknown) => {
    chosen = undefined;
    throw error;
  });
  return chosen;
}

/** As `tfjsBackend`, deciding anew. */
export async function chooseTfjsBackend(options: TfjsBackendOptions = {}): Promise<TfjsBackend> {
  tf.enableProdMode();
  return (await nativeBackend(options)) ?? (await wasmBackend());
}

/** An optional peer: a name that the compiler does not look up. */
const NATIVE_MODULE: string = '@tensorflow/tfjs-node';

async function nativeBackend(options: TfjsBackendOptions): Promise<TfjsBackend | undefined> {
  // TensorFlow reads these once, when its library is loaded; without the first it writes about the processor to stderr.
  process.env.TF_CPP_MIN_LOG_LEVEL ??= '2';
  process.env.TF_NUM_INTRAOP_THREADS ??= String(options.threads ?? 1);
  process.env.TF_NUM_INTEROP_THREADS ??= '1';
  try {
    const native = await (options.importNative ?? (() => import(NATIVE_MODULE)))();
    if (!(await tf.setBackend('tensorflow')) || !calculates()) return undefined;
    return { runtime: `tfjs-node ${nativeVersion(native)}` };
  } catch {
    // Not installed, built for another Node, or its library is missing: WASM does the work, and /model/info says so.
    return undefined;
  }
}

async function wasmBackend(): Promise<TfjsBackend> {
  const listeners = processListeners();
  try {
    const folder = dirname(createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm'));
    wasm.setWasmPaths(`${folder}/`);
    if (!(await tf.setBackend('wasm')) || !calculates()) throw new Error('it does not calculate on this processor');
    const simd = (await tf.env().getAsync('WASM_HAS_SIMD_SUPPORT')) === true;
    return { runtime: `tfjs-backend-wasm ${wasm.version_wasm}${simd ? ' simd' : ''}` };
  } catch (error) {
    const detail = error instanceof Error ? error.message : String((error as { message?: unknown })?.message ?? error);
    throw new PackageError(
      'ENGINE_UNSUPPORTED',
      `TensorFlow.js has no backend here: tfjs-node is not installed and WebAssembly failed (${detail.split('\n')[0]}); ` +
        'install the package again, or use a package with engine onnx',
      { cause: error },
    );
  } finally {
    // Emscripten's start-up code takes over the process' error handling; how a program ends is the program's affair.
    removeNewListeners(listeners);
  }
}

/** A backend that loads may still fail at its first operator (tfjs-node 4.22 does under Node 23 and newer). */
function calculates(): boolean {
  return tf.tidy(() => tf.add(tf.tensor1d([1]), tf.tensor1d([2])).dataSync()[0]) === 3;
}

function nativeVersion(native: unknown): string {
  const versions = (native as { version?: Record<string, string> } | undefined)?.version;
  return versions?.['tfjs-node'] ?? versions?.['tfjs-core'] ?? tf.version_core;
}

const TAKEN_OVER = ['uncaughtException', 'unhandledRejection'] as const;

function processListeners(): Map<string, unknown[]> {
  return new Map(TAKEN_OVER.map((event) => [event, process.listeners(event as 'uncaughtException')]));
}

function removeNewListeners(before: ReadonlyMap<string, unknown[]>): void {
  for (const event of TAKEN_OVER) {
    for (const listener of process.listeners(event as 'uncaughtException')) {
      if (!before.get(event)?.includes(listener)) process.removeListener(event, listener);
    }
  }
}
