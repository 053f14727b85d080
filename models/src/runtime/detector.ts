import { thresholdOf } from '../package/labels.js';
import type { InputSpec, Manifest } from '../package/manifest.js';
import type { OpenPackage } from '../package/package.js';
import { PackageError } from '../package/package-error.js';
import type { OutputTensor } from './decoder.js';
import { makeDecoder } from './decoders/registry.js';
import type { Detection } from './detection.js';
import type { Engine } from './engine.js';
import { makeFrameFitter } from './fit-frame.js';
import type { ContentRectangle, PlanarFrame } from './frame.js';
import { checkInput, checkOutput, checkResult } from './model-check.js';
import { bestFirst, suppressNonMaxima } from './nms.js';
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
   * `content` given it is stretched, since it was letterboxed already. Boxes are 0..1 of the picture, best first.
   * Blocks the JavaScript thread while the model runs. Throws RangeError when `frame.data` has the wrong length.
   */
  detect(
    frame: PlanarFrame,
    content?: ContentRectangle,
  ): Promise<{ detections: Detection[]; stagesMs: { preprocess: number; inference: number; decode: number } }>;
  close(): Promise<void>;
}

export interface DetectorOptions {
  /** Replaces the manifest's thresholds for every class, 0..1. */
  threshold?: number;
  /** A clock in ms, for the times of the stages. */
  now: () => number;
}

/**
 * Makes a detector of a model in any engine: fit, preprocess, run, decode, suppress, timed. Runs the model once on a grey
 * frame: sizes that the file leaves open and broken kernels show only then, and it warms the engine up. The engine
 * belongs to the detector from now on; it is closed when this throws.
 * Throws PackageError: MODEL_INPUT_MISMATCH, MODEL_OUTPUT_MISMATCH.
 */
export async function makeDetector(
  open: Pick<OpenPackage, 'manifest' | 'labels'>,
  engine: Engine,
  options: DetectorOptions,
): Promise<LoadedModel> {
  try {
    const detect = bindDetector(open, engine, options);
    await tryOnGrey(open.manifest, detect);
    const { manifest, labels } = open;
    return { input: manifest.input, labels, runtime: engine.runtime, detect, close: () => engine.close() };
  } catch (error) {
    await engine.close();
    throw error;
  }
}

function bindDetector(
  { manifest, labels }: Pick<OpenPackage, 'manifest' | 'labels'>,
  engine: Engine,
  { threshold, now }: DetectorOptions,
): LoadedModel['detect'] {
  const { input, nms } = manifest;
  const { width, height } = input;
  const preprocessor = makePreprocessor(input);
  const decoder = makeDecoder(manifest.decoder, {
    width,
    height,
    labels,
    thresholds: labels.map((label) => threshold ?? thresholdOf(manifest, label)),
  });
  checkInput(engine, manifest, preprocessor.dims);
  const outputs = decoder.outputs.map((wanted) => ({ name: wanted.name, dims: checkOutput(engine, wanted) }));
  const fed = { name: input.name, data: preprocessor.data, dims: preprocessor.dims };
  const run = engine.bind(fed, outputs, input.constants ?? {});
  const fit = makeFrameFitter(input);
  const stretch = makeFrameFitter({ ...input, resize: 'stretch' });
  let checked: Readonly<Record<string, OutputTensor>> | undefined;
  const select = decoder.suppress ? suppressNonMaxima : bestFirst;

  return async (frame, content) => {
    if (frame.data.length !== 3 * frame.width * frame.height) {
      throw new RangeError(`frame of ${frame.data.length} bytes is not 3 x ${frame.width} x ${frame.height}`);
    }
    const start = now();
    const fitted = content === undefined ? fit(frame) : stretch(frame);
    preprocessor.write(fitted.frame.data);
    const preprocessed = now();
    const tensors = await run();
    const inferred = now();
    // An engine that allocated its outputs beforehand gives the same tensors again and again: one check serves.
    if (tensors !== checked) for (const wanted of decoder.outputs) checkResult(tensors[wanted.name], wanted);
    checked = tensors;
    const detections = select(decoder.decode(tensors, content ?? fitted.content), nms);
    return {
      detections,
      stagesMs: { preprocess: preprocessed - start, inference: inferred - preprocessed, decode: now() - inferred },
    };
  };
}

async function tryOnGrey(manifest: Manifest, detect: LoadedModel['detect']): Promise<void> {
  const { width, height } = manifest.input;
  try {
    await detect({ width, height, data: new Uint8Array(3 * width * height).fill(128) });
  } catch (error) {
    if (error instanceof PackageError) throw error;
    const detail = error instanceof Error ? error.message.split('\n')[0] : String(error);
    throw new PackageError(
      'MODEL_OUTPUT_MISMATCH',
      `${manifest.model.file} does not run as the manifest describes it: ${detail}`,
      { cause: error },
    );
  }
}
