import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { compareGolden, type GoldenVerdict } from '../runtime/golden.js';
import type { LoadedModel } from '../runtime/onnx-session.js';
import { MAX_GOLDEN_PIXELS } from './limits.js';
import type { OpenPackage } from './package.js';
import { PackageError } from './package-error.js';
import { decodePicture, GOLDEN_FORMATS } from './picture.js';

const BOUNDS = { maxPixels: MAX_GOLDEN_PIXELS, formats: GOLDEN_FORMATS };

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
  for (const [index, golden] of open.manifest.golden.entries()) {
    const bytes = await readFile(join(directory, golden.file));
    const picture = await decodePicture(bytes, open.manifest.input, BOUNDS).catch((error: Error) => {
      throw new PackageError('PICTURE_INVALID', `golden[${index}].file: ${golden.file}: ${error.message}`, {
        cause: error,
      });
    });
    const { detections } = await model.detect(picture.frame, picture.content);
    results.push({ file: golden.file, verdict: compareGolden(golden, detections, open.manifest.thresholds.default) });
  }
  return results;
}
