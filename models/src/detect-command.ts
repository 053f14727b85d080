import { readFile } from 'node:fs/promises';
import { Command, InvalidArgumentError } from 'commander';
import { PackageError } from './package/package-error.js';
import { withPackage } from './package/package-path.js';
import { decodePicture } from './package/picture.js';
import type { LoadedModel } from './runtime/detector.js';
import { loadModel } from './runtime/load-model.js';

interface PictureResult {
  image: string;
  /** Pixels of the original picture, upright. */
  width: number;
  height: number;
  detections: { label: string; classId: number; score: number; box: [number, number, number, number] }[];
}

/** `vigie-models detect PACKAGE IMAGE...` */
export function detectCommand(): Command {
  return new Command('detect')
    .description('detect in single pictures')
    .argument('<package>', 'a folder or a .vigie file')
    .argument('<images...>', 'JPEG, PNG, WebP, ...')
    .option('--threshold <score>', "lowest score, 0 to 1, instead of the manifest's", parseScore)
    .option(
      '--json',
      'print one JSON document: [{image, width, height, detections: [{label, classId, score, box: [x1, y1, x2, y2]}]}], ' +
        'boxes in pixels of the original picture',
    )
    .action(async (path: string, images: string[], options: { threshold?: number; json?: boolean }) => {
      const results = await withPackage(path, async (directory, open) => {
        const model = await loadModel(directory, open, { threshold: options.threshold });
        try {
          const found: PictureResult[] = [];
          for (const image of images) found.push(await detectInPicture(model, image));
          return found;
        } finally {
          await model.close();
        }
      });
      if (options.json) console.log(JSON.stringify(results));
      else for (const result of results) printResult(result);
    });
}

async function detectInPicture(model: LoadedModel, image: string): Promise<PictureResult> {
  const bytes = await readFile(image).catch((error: NodeJS.ErrnoException) => {
    throw new PackageError('PICTURE_INVALID', `picture ${image} cannot be read (${error.code}); check the path`);
  });
  const picture = await decodePicture(bytes, model.input).catch((error: unknown) => {
    throw error instanceof PackageError
      ? new PackageError(error.code, `${image}: ${error.message}`, { cause: error })
      : error;
  });
  const { width, height } = picture;
  const { detections } = await model.detect(picture.frame, picture.content);
  return {
    image,
    width,
    height,
    detections: detections.map(({ label, classId, score, box: [x1, y1, x2, y2] }) => ({
      label,
      classId,
      score,
      box: [x1 * width, y1 * height, x2 * width, y2 * height],
    })),
  };
}

function printResult({ image, width, height, detections }: PictureResult): void {
  console.log(`${image} (${width}x${height}): ${detections.length === 0 ? 'nothing' : ''}`);
  for (const { label, score, box } of detections) {
    console.log(`  ${label} ${score.toFixed(3)} [${box.map((value) => value.toFixed(1)).join(', ')}]`);
  }
}

function parseScore(text: string): number {
  const score = Number(text);
  if (text.trim() !== '' && score >= 0 && score <= 1) return score;
  throw new InvalidArgumentError('give a score from 0 to 1.');
}
