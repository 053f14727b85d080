import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import './onnx-session-telemetry.js';
import { env, InferenceSession, Tensor } from 'onnxruntime-node';
import { sha256Hex } from '../package/digest.js';
import type { InputSpec, Manifest } from '../package/manifest.js';
import type { OpenPackage } from '../package/package.js';
import { PackageError, type PackageErrorCode } from '../package/package-error.js';
import { locationCount, makeAnchorFreeDecoder } from './anchor-free.js';
import type { Detection } from './detection.js';
import { makeFrameFitter } from './fit-frame.js';
import type { ContentRectangle, PlanarFrame } from './frame.js';
import { suppressNonMaxima } from './nms.js';
import { makePreprocessor } from './preprocess.js';

/** A model that is loaded and ready. One call of `detect` at a time. */
export interface LoadedModel {
  readonly input: InputSpec;
  /** Label of each class id. */
  readonly labels: string[];
  /** E.g. `onnxruntime-node 1.30.0 cpu`. */
  readonly runtime: string;
  /**
   * Detects in G, B, R planes. A frame of the model's own size takes the fast path; `content` then says where the
   * picture stands in it (default: all of it). Another size is stretched or letterboxed as the manifest says; with
   * `content` given it is stretched, since it was letterboxed already. Boxes are 0..1 of the picture.
   * Blocks the JavaScript thread while the model runs. Throws RangeError when `frame.data` has the wrong length.
   */
  detect(
    frame: PlanarFrame,
    content?: ContentRectangle,
  ): Promise<{ detections: Detection[]; stagesMs: { preprocess: number; inference: number; decode: number } }>;
  close(): Promise<void>;
}

export interface OnnxDetectorOptions {
  /** Replaces the manifest's thresholds for every class, 0..1. */
  threshold?: number;
  /** Threads inside one operator; 1 when absent: a board has other work to do. */
  threads?: number;
}

/**
 * Loads a checked package's model into ONNX Runtime and runs it once on a grey frame. The bytes that are loaded are
 * the bytes that were hashed. Throws PackageError: DIGEST_MISMATCH, ENGINE_UNSUPPORTED, MODEL_LOAD_FAILED,
 * MODEL_INPUT_MISMATCH, MODEL_OUTPUT_MISMATCH.
 */
export async function loadOnnxDetector(
  directory: string,
  open: OpenPackage,
  options: OnnxDetectorOptions = {},
): Promise<LoadedModel> {
  const { manifest, labels } = open;
  if (manifest.model.engine !== 'onnx') {
    throw new PackageError(
      'ENGINE_UNSUPPORTED',
      `manifest.yaml: model.engine: "${manifest.model.engine}" is not loaded by ONNX Runtime; use a package with engine onnx`,
    );
  }
  const session = await createSession(await readModel(directory, manifest), manifest, options.threads ?? 1);
  const { input, decoder } = manifest;
  try {
    const preprocessor = makePreprocessor(input);
    const locations = locationCount({ ...input, strides: decoder.strides });
    const { logits: logitsName, distances: distancesName } = decoder.outputs;
    checkInputs(session, manifest, preprocessor.dims);
    checkOutput(session, 'decoder.outputs.logits', logitsName, [1, locations, labels.length]);
    checkOutput(session, 'decoder.outputs.distances', distancesName, [1, locations, 4]);

    // ONNX Runtime writes into these on every run (measured: it fills given outputs); nothing is allocated per frame.
    const logits = new Float32Array(locations * labels.length);
    const distances = new Float32Array(locations * 4);
    const feeds = { [input.name]: inputTensor(preprocessor.data, preprocessor.dims) };
    const fetches = {
      [logitsName]: new Tensor('float32', logits, [1, locations, labels.length]),
      [distancesName]: new Tensor('float32', distances, [1, locations, 4]),
    };
    const decode = makeAnchorFreeDecoder({
      width: input.width,
      height: input.height,
      strides: decoder.strides,
      labels,
      thresholds: labels.map(
        (label) => options.threshold ?? manifest.thresholds.perClass?.[label] ?? manifest.thresholds.default,
      ),
    });
    const fit = makeFrameFitter(input);
    const stretch = makeFrameFitter({ ...input, resize: 'stretch' });

    const detect: LoadedModel['detect'] = async (frame, content) => {
      if (frame.data.length !== 3 * frame.width * frame.height) {
        throw new RangeError(`frame of ${frame.data.length} bytes is not 3 x ${frame.width} x ${frame.height}`);
      }
      const start = performance.now();
      const fitted = content === undefined ? fit(frame) : stretch(frame);
      preprocessor.write(fitted.frame.data);
      const preprocessed = performance.now();
      await session.run(feeds, fetches);
      const inferred = performance.now();
      const detections = suppressNonMaxima(decode(logits, distances, content ?? fitted.content), manifest.nms);
      return {
        detections,
        stagesMs: {
          preprocess: preprocessed - start,
          inference: inferred - preprocessed,
          decode: performance.now() - inferred,
        },
      };
    };

    // Symbolic dimensions and broken kernels show only when the model runs; it also warms the session up.
    const grey = new Uint8Array(3 * input.width * input.height).fill(128);
    try {
      await detect({ width: input.width, height: input.height, data: grey });
    } catch (error) {
      throw refusal('MODEL_OUTPUT_MISMATCH', manifest, 'does not run as the manifest describes it', error);
    }
    return {
      input,
      labels,
      runtime: `onnxruntime-node ${env.versions.node ?? env.versions.common} cpu`,
      detect,
      close: () => session.release(),
    };
  } catch (error) {
    await session.release();
    throw error;
  }
}

async function readModel(directory: string, manifest: Manifest): Promise<Buffer> {
  const bytes = await readFile(join(directory, manifest.model.file)).catch((error: NodeJS.ErrnoException) => {
    throw new PackageError('FILE_MISSING', `${manifest.model.file} cannot be read (${error.code})`, { cause: error });
  });
  const actual = sha256Hex(bytes);
  if (actual === manifest.model.sha256) return bytes;
  throw new PackageError(
    'DIGEST_MISMATCH',
    `manifest.yaml: model.sha256: ${manifest.model.sha256} is not the hash of ${manifest.model.file}, which is ${actual}`,
  );
}

async function createSession(bytes: Buffer, manifest: Manifest, threads: number): Promise<InferenceSession> {
  try {
    // From memory, not by path: the bytes were just hashed, and a model cannot pull in files from beside it.
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
    throw refusal('MODEL_LOAD_FAILED', manifest, 'is refused by ONNX Runtime', error);
  }
}

function inputTensor(data: Float32Array | Uint8Array, dims: readonly number[]): Tensor {
  return data instanceof Uint8Array ? new Tensor('uint8', data, dims) : new Tensor('float32', data, dims);
}

function checkInputs(session: InferenceSession, manifest: Manifest, dims: readonly number[]): void {
  const { input } = manifest;
  const found = session.inputMetadata.map(describe).join('; ');
  const wanted = `${input.name} ${input.dtype} [${dims.join(', ')}]`;
  const only = session.inputMetadata.length === 1 ? session.inputMetadata[0] : undefined;
  if (only?.isTensor && only.name === input.name && only.type === input.dtype && agrees(only.shape, dims)) return;
  throw new PackageError(
    'MODEL_INPUT_MISMATCH',
    `manifest.yaml: input: the manifest says ${wanted}, ${manifest.model.file} takes ${found}; correct the manifest or export the model again`,
  );
}

function checkOutput(session: InferenceSession, field: string, name: string, dims: readonly number[]): void {
  const output = session.outputMetadata.find((candidate) => candidate.name === name);
  if (output?.isTensor && output.type === 'float32' && agrees(output.shape, dims)) return;
  throw new PackageError(
    'MODEL_OUTPUT_MISMATCH',
    `manifest.yaml: ${field}: expected ${name} float32 [${dims.join(', ')}] from strides, input size and labels; ` +
      `the model gives ${session.outputMetadata.map(describe).join('; ')}; correct the manifest or export the model again`,
  );
}

/** A symbolic dimension agrees with anything; the first run settles it. */
function agrees(shape: readonly (number | string)[], dims: readonly number[]): boolean {
  return (
    shape.length === dims.length &&
    shape.every((dimension, index) => typeof dimension === 'string' || dimension === dims[index])
  );
}

function describe(value: InferenceSession.ValueMetadata): string {
  return value.isTensor ? `${value.name} ${value.type} [${value.shape.join(', ')}]` : `${value.name} (no tensor)`;
}

function refusal(code: PackageErrorCode, manifest: Manifest, what: string, cause: unknown): PackageError {
  const detail = cause instanceof Error ? cause.message.split('\n')[0] : String(cause);
  return new PackageError(code, `${manifest.model.file} ${what}: ${detail}`, { cause });
}
