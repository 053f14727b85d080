import { performance } from 'node:perf_hooks';
import type { OpenPackage } from '../package/package.js';
import type { LoadedModel } from './detector.js';

export interface LoadModelOptions {
  /** Replaces the manifest's thresholds for every class, 0..1. */
  threshold?: number;
  /** Threads inside one operator; 1 when absent: a board has other work to do. */
  threads?: number;
}

/**
 * Loads a checked package's model into the engine its manifest names and runs it once on a grey frame. Only that engine
 * is loaded into the process. Throws PackageError: FILE_MISSING, DIGEST_MISMATCH, ENGINE_UNSUPPORTED, MODEL_LOAD_FAILED,
 * MODEL_INPUT_MISMATCH, MODEL_OUTPUT_MISMATCH.
 */
export async function loadModel(
  directory: string,
  open: OpenPackage,
  options: LoadModelOptions = {},
): Promise<LoadedModel> {
  if (open.manifest.model.engine === 'onnx') {
    const { loadOnnxDetector } = await import('./onnx-session.js');
    return loadOnnxDetector(directory, open, options);
  }
  const [{ openTfjsEngine }, { makeDetector }] = await Promise.all([
    import('./tfjs-engine.js'),
    import('./detector.js'),
  ]);
  const engine = await openTfjsEngine(directory, open, options);
  return makeDetector(open, engine, { threshold: options.threshold, now: () => performance.now() });
}
