import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { sha256Hex } from '../package/digest.js';
import type { Manifest } from '../package/manifest.js';
import type { OpenPackage } from '../package/package.js';
import { PackageError } from '../package/package-error.js';
import { type LoadedModel, makeDetector } from './detector.js';
import { type OnnxEngineOptions, openOnnxEngine } from './onnx-session-engine.js';

export type { LoadedModel } from './detector.js';

export interface OnnxDetectorOptions extends OnnxEngineOptions {
  /** Replaces the manifest's thresholds for every class, 0..1. */
  threshold?: number;
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
  const { model } = open.manifest;
  if (model.engine !== 'onnx') {
    throw new PackageError(
      'ENGINE_UNSUPPORTED',
      `manifest.yaml: model.engine: "${model.engine}" is not loaded by ONNX Runtime; use a package with engine onnx`,
    );
  }
  const engine = await openOnnxEngine(await readModel(directory, open.manifest), model.file, options);
  return makeDetector(open, engine, { threshold: options.threshold, now: () => performance.now() });
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
