import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { compareGolden, type GoldenVerdict } from '../runtime/golden.js';
import type { LoadedModel } from '../runtime/onnx-session.js';
import type { OpenPackage } from './package.js';
import { decodePicture } from './picture.js';

/**
 * Runs every golden frame of an unpacked package through its loaded model: does it find here what it found where it
 * was published? The model must have been loaded with the manifest's own thresholds. Throws PICTURE_INVALID.
 */
export async function runGoldenFrames(
  directory: string,
  open: OpenPackage,
  model: LoadedModel,
): Promise<{ file: string; verdict: GoldenVerdict }[]> {
  const results: { file: string; verdict: GoldenVerdict }[] = [];
  for (const golden of open.manifest.golden) {
    const picture = await decodePicture(await readFile(join(directory, golden.file)), open.manifest.input);
    const { detections } = await model.detect(picture.frame, picture.content);
    results.push({ file: golden.file, verdict: compareGolden(golden, detections, open.manifest.thresholds.default) });
  }
  return results;
}
