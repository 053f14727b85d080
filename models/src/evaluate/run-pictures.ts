import { readFile } from 'node:fs/promises';
import { performance } from 'node:perf_hooks';
import type { OpenPackage } from '../package/package.js';
import { PackageError } from '../package/package-error.js';
import { decodePicture } from '../package/picture.js';
import type { Detection } from '../runtime/detection.js';
import type { LoadedModel } from '../runtime/detector.js';
import { DatasetError } from './dataset-error.js';

/** What a model made of one picture. */
export interface PictureOutcome {
  /** Boxes 0..1 of the picture. */
  detections: Detection[];
  /** Pixels of the picture, upright. */
  width: number;
  height: number;
  /** The model alone, and all from the pixels to the detections, in ms. */
  modelMs: number;
  detectMs: number;
}

/** Bound of the manifest's nms.maxDetections and of a classifier's topK. */
const MOST_DETECTIONS = 1000;

/**
 * The package as it must run to be judged: average precision needs the weak detections too, and a classifier's rank of
 * the right class. Only what is in memory changes.
 */
export function openedForEvaluation(open: OpenPackage, maxDetections: number, nmsIou?: number): OpenPackage {
  const { manifest, labels } = open;
  const { nms, decoder } = manifest;
  // COCO counts so many per picture and class; suppression counts all classes together.
  const most = Math.min(MOST_DETECTIONS, Math.max(nms.maxDetections, maxDetections * labels.length));
  const topK = Math.min(MOST_DETECTIONS, labels.length);
  return {
    ...open,
    manifest: {
      ...manifest,
      nms: { ...nms, maxDetections: most, iou: nmsIou ?? nms.iou },
      decoder: decoder.type === 'classify' ? { ...decoder, topK } : decoder,
    },
  };
}

/** Decodes one picture and runs the model over it. Throws DatasetError PICTURE_MISSING, PICTURE_INVALID. */
export async function runPicture(model: LoadedModel, file: string): Promise<PictureOutcome> {
  const bytes = await readFile(file).catch((error: NodeJS.ErrnoException) => {
    throw new DatasetError('PICTURE_MISSING', `picture ${file} cannot be read (${error.code})`, { cause: error });
  });
  const picture = await decodePicture(bytes, model.input).catch((error: unknown) => {
    if (!(error instanceof PackageError)) throw error;
    throw new DatasetError('PICTURE_INVALID', `${file}: ${error.message}`, { cause: error });
  });
  const start = performance.now();
  const { detections, stagesMs } = await model.detect(picture.frame, picture.content);
  const detectMs = performance.now() - start;
  return { detections, width: picture.width, height: picture.height, modelMs: stagesMs.inference, detectMs };
}

export interface Spread {
  p50: number;
  p95: number;
  mean: number;
}

/** Median, 95th percentile (nearest rank) and mean; zeros for nothing. */
export function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number): number => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
  const mean = values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
  return { p50: at(0.5), p95: at(0.95), mean };
}
