import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import sharp from 'sharp';
import { MAX_PICTURES } from './dataset.js';
import { DatasetError } from './dataset-error.js';

const PICTURE_EXTENSIONS = new Set(['.jpg', '.jpeg', '.png', '.webp', '.tif', '.tiff', '.avif', '.gif']);
const MAX_DEPTH = 8;

export function isPicture(file: string): boolean {
  return PICTURE_EXTENSIONS.has(extname(file).toLowerCase());
}

/** File name without folder and extension. */
export function stem(file: string): string {
  return basename(file, extname(file));
}

/** By code points, so that any machine gives the same order. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

export async function isDirectory(path: string): Promise<boolean> {
  return (await kindOf(path)) === 'directory';
}

export async function isFile(path: string): Promise<boolean> {
  return (await kindOf(path)) === 'file';
}

/** What lies at a path, links followed. */
export async function kindOf(path: string): Promise<'file' | 'directory' | undefined> {
  const info = await stat(path).catch(() => undefined);
  return info?.isDirectory() ? 'directory' : info?.isFile() ? 'file' : undefined;
}

/** UTF-8 text of a file of at most `limit` bytes, without a byte order mark. Throws DatasetError. */
export async function readText(file: string, limit: number): Promise<string> {
  const info = await stat(file).catch((error: NodeJS.ErrnoException) => {
    throw new DatasetError('DATASET_NOT_FOUND', `${file} cannot be read (${error.code}); check the path`);
  });
  if (!info.isFile()) throw new DatasetError('DATASET_INVALID', `${file} is no regular file`);
  if (info.size > limit) {
    throw new DatasetError('DATASET_TOO_LARGE', `${file}: ${info.size} bytes exceed ${limit}; split the data set`);
  }
  const bytes = await readFile(file);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    const clean = bytes.toString('utf8');
    const line = lineAt(clean, clean.indexOf('\ufffd'));
    throw new DatasetError('DATASET_INVALID', `${file}:${line}: not UTF-8 text; save the file as UTF-8`);
  }
}

/** Number of the line, from 1, in which the character at `offset` stands. */
export function lineAt(text: string, offset: number): number {
  let line = 1;
  for (let at = text.indexOf('\n'); at >= 0 && at < offset; at = text.indexOf('\n', at + 1)) line++;
  return line;
}

/**
 * Files below `folder` that `wanted` accepts, sorted; hidden ones are left out. Links to files are followed, links to
 * folders are not: they may lead in circles. Throws DATASET_TOO_LARGE, DATASET_NOT_FOUND.
 */
export async function listBelow(folder: string, wanted: (file: string) => boolean): Promise<string[]> {
  const found: string[] = [];
  const visit = async (path: string, depth: number): Promise<void> => {
    const entries = await readdir(path, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
      throw new DatasetError('DATASET_NOT_FOUND', `folder ${path} cannot be read (${error.code}); check the path`);
    });
    for (const entry of entries) {
      if (entry.name.startsWith('.')) continue;
      const inner = join(path, entry.name);
      if (entry.isDirectory()) {
        if (depth < MAX_DEPTH) await visit(inner, depth + 1);
      } else if (wanted(entry.name) && (entry.isFile() || (entry.isSymbolicLink() && (await isFile(inner))))) {
        found.push(inner);
        if (found.length > MAX_PICTURES) {
          throw new DatasetError('DATASET_TOO_LARGE', `${folder} holds more than ${MAX_PICTURES} files; split it`);
        }
      }
    }
  };
  await visit(folder, 0);
  return found.sort(compareText);
}

/** Names of the folders directly in `folder`, sorted; hidden ones are left out. */
export async function foldersIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const names = entries.filter((entry) => entry.isDirectory() && !entry.name.startsWith('.')).map(({ name }) => name);
  return names.sort(compareText);
}

/** Size in pixels, upright, from the picture's header. Throws PICTURE_MISSING, PICTURE_INVALID. */
export async function pictureSize(file: string): Promise<{ width: number; height: number }> {
  if (!(await isFile(file))) {
    throw new DatasetError('PICTURE_MISSING', `picture ${file} is not there; name the pictures' folder with --images`);
  }
  try {
    const { autoOrient } = await sharp(file).metadata();
    return { width: autoOrient.width, height: autoOrient.height };
  } catch (error) {
    const detail = (error as Error).message.split('\n')[0];
    throw new DatasetError('PICTURE_INVALID', `picture ${file} cannot be decoded: ${detail}`, { cause: error });
  }
}

/** `Promise.all` with a few at a time: a data set has more files than a process may open. */
export async function mapFew<T, R>(items: readonly T[], map: (item: T, index: number) => Promise<R>): Promise<R[]> {
  const results = new Array<R>(items.length);
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < items.length) {
      const index = next++;
      results[index] = await map(items[index], index);
    }
  };
  await Promise.all(Array.from({ length: 8 }, work));
  return results;
}
