import { readdir, readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import type { InputSpec } from '../package/manifest.js';
import { PackageError } from '../package/package-error.js';
import { decodePicture } from '../package/picture.js';
import { makePreprocessor } from '../runtime/preprocess.js';
import { QuantizeError } from './quantize-error.js';

const PICTURE_SUFFIXES = new Set(['.jpg', '.jpeg', '.png', '.webp', '.tif', '.tiff']);

/** Paths of all pictures in a folder and below it, sorted, so that a run can be repeated. Throws CALIBRATION_EMPTY. */
export async function listPictures(directory: string): Promise<string[]> {
  const files = await readdir(directory, { recursive: true });
  const pictures = files.filter((file) => PICTURE_SUFFIXES.has(extname(file).toLowerCase())).sort();
  if (pictures.length === 0) {
    throw new QuantizeError(
      'CALIBRATION_EMPTY',
      `no picture (${[...PICTURE_SUFFIXES].join(' ')}) in ${directory}; give a folder with some 20 to 200 typical pictures`,
    );
  }
  return pictures.map((file) => join(directory, file));
}

/**
 * Decodes pictures into float32 input tensors `[1, 3, H, W]`, resized and scaled as `input` says. One buffer is reused.
 * Throws PackageError PICTURE_INVALID, naming the file.
 */
export async function* inputTensors(paths: readonly string[], input: InputSpec): AsyncGenerator<Float32Array> {
  const preprocessor = makePreprocessor({ ...input, dtype: 'float32' });
  for (const path of paths) {
    const picture = await decodePicture(await readFile(path), input).catch((error: unknown) => {
      if (!(error instanceof PackageError)) throw error;
      throw new PackageError(error.code, `${path}: ${error.message}`, { cause: error });
    });
    preprocessor.write(picture.frame.data);
    yield preprocessor.data as Float32Array;
  }
}
