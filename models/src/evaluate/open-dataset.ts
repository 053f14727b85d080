import { findCocoFile, readCocoDataset } from './coco-dataset.js';
import type { Dataset, DatasetFormat, DatasetOptions } from './dataset.js';
import { DatasetError } from './dataset-error.js';
import { kindOf } from './dataset-files.js';
import { isFolders, readFolderDataset } from './folder-dataset.js';
import { isVoc, readVocDataset } from './voc-dataset.js';
import { isYolo, readYoloDataset } from './yolo-dataset.js';

/**
 * Opens a data set: COCO JSON, YOLO text labels, Pascal VOC, or a folder per class; guessed when `options.format` is
 * absent. Pictures themselves are not decoded yet. Throws DatasetError.
 */
export async function openDataset(path: string, options: DatasetOptions = {}): Promise<Dataset> {
  if ((await kindOf(path)) === undefined) {
    throw new DatasetError('DATASET_NOT_FOUND', `data set ${path} is not there; check the path`);
  }
  const format = options.format ?? (await guessFormat(path, options.split));
  switch (format) {
    case 'coco': {
      const file = await findCocoFile(path, options.split);
      if (file !== undefined) return readCocoDataset(file, options);
      throw new DatasetError('DATASET_NOT_FOUND', `${path} holds no COCO annotations; name the .json file itself`);
    }
    case 'yolo':
      return readYoloDataset(path, options);
    case 'voc':
      return readVocDataset(path, options);
    case 'folders':
      return readFolderDataset(path, options);
  }
}

async function guessFormat(path: string, split?: string): Promise<DatasetFormat> {
  if ((await findCocoFile(path, split)) !== undefined) return 'coco';
  if (await isYolo(path)) return 'yolo';
  if ((await kindOf(path)) === 'directory') {
    if (await isVoc(path)) return 'voc';
    if (await isFolders(path)) return 'folders';
  }
  throw new DatasetError(
    'DATASET_FORMAT_UNKNOWN',
    `${path}: neither coco.json, data.yaml or labels/, Annotations/*.xml, nor a folder per class was found; say what it is with --format`,
  );
}
