import { join } from 'node:path';
import { type ClassDataset, type DatasetOptions, SPLITS } from './dataset.js';
import { DatasetError } from './dataset-error.js';
import { foldersIn, isPicture, listBelow } from './dataset-files.js';

const MAX_CLASSES = 10_000;

/** Folder whose folders are the classes: `path` itself, its split, or the only folder in it. */
async function classRoot(path: string, split?: string): Promise<{ folder: string; classes: string[]; split?: string }> {
  const classes = await foldersIn(path);
  const found = (split === undefined ? SPLITS : [split]).find((name) => classes.includes(name));
  if (found !== undefined)
    return { folder: join(path, found), classes: await foldersIn(join(path, found)), split: found };
  if (split !== undefined) {
    throw new DatasetError(
      'DATASET_NOT_FOUND',
      `${path} has no folder "${split}"; it has ${classes.join(', ') || 'none'}`,
    );
  }
  if (classes.length !== 1) return { folder: path, classes };
  const inner = await foldersIn(join(path, classes[0]));
  return inner.length === 0 ? { folder: path, classes } : { folder: join(path, classes[0]), classes: inner };
}

/** Whether each folder at `path` holds pictures: a class each. */
export async function isFolders(path: string): Promise<boolean> {
  const { folder, classes } = await classRoot(path);
  for (const name of classes) {
    if ((await listBelow(join(folder, name), isPicture)).length === 0) return false;
  }
  return classes.length > 0;
}

/**
 * Reads pictures that lie in a folder per class, whose name is the class's; `val/<class>` and the like where the data
 * set is split. With `options.limit` the pictures are taken from all classes in turn. Throws DatasetError.
 */
export async function readFolderDataset(path: string, options: DatasetOptions = {}): Promise<ClassDataset> {
  const { folder, classes, split } = await classRoot(path, options.split);
  if (classes.length > MAX_CLASSES) {
    throw new DatasetError('DATASET_TOO_LARGE', `${folder}: ${classes.length} folders exceed ${MAX_CLASSES} classes`);
  }
  const files: string[][] = [];
  for (const name of classes) files.push(await listBelow(join(folder, name), isPicture));
  const notes = split === undefined ? [] : [`split ${split} of ${path}`];
  for (const [index, name] of classes.entries()) {
    if (files[index].length === 0) notes.push(`folder ${name} holds no picture`);
  }
  const most = Math.max(0, ...files.map(({ length }) => length));
  const pictures: ClassDataset['pictures'] = [];
  for (let turn = 0; turn < most; turn++) {
    for (const [category, ofClass] of files.entries()) {
      if (turn < ofClass.length) pictures.push({ file: ofClass[turn], category });
    }
  }
  if (pictures.length === 0) throw new DatasetError('DATASET_EMPTY', `${folder} holds no folder with pictures`);
  return { kind: 'classes', format: 'folders', categories: classes, pictures: pictures.slice(0, options.limit), notes };
}
