import { dirname, join, resolve, sep } from 'node:path';
import { LineCounter, parseDocument } from 'yaml';
import type { CocoTruth } from './coco-match.js';
import { type BoxDataset, type DatasetOptions, MAX_OBJECTS, MAX_TEXT_BYTES, SPLITS } from './dataset.js';
import { DatasetError } from './dataset-error.js';
import {
  isDirectory,
  isFile,
  isPicture,
  kindOf,
  listBelow,
  mapFew,
  pictureSize,
  readText,
  stem,
} from './dataset-files.js';

const MAX_YAML_BYTES = 1024 * 1024;
const NAME_FILES = ['classes.txt', 'labels.txt', 'obj.names', 'names.txt'];
const YAML_FILES = ['data.yaml', 'dataset.yaml', 'data.yml', 'dataset.yml'];

interface YoloYaml {
  file: string;
  names?: string[];
  /** Per split: folders or lists of pictures, as written. */
  splits: Map<string, string[]>;
  /** `path`, to which the splits are relative; the file's own folder when absent. */
  root: string;
}

/** Whether YOLO text labels stand at `path`: a data.yaml, or a folder `labels`, also below a split's folder. */
export async function isYolo(path: string): Promise<boolean> {
  if (/\.ya?ml$/i.test(path)) return isFile(path);
  for (const name of YAML_FILES) if (await isFile(join(path, name))) return true;
  for (const folder of ['', ...SPLITS]) if (await isDirectory(join(path, folder, 'labels'))) return true;
  return false;
}

/**
 * Reads pictures with YOLO text labels: a line an object, `class cx cy width height` or `class x1 y1 x2 y2 x3 y3 ...` (an
 * outline, whose bounding box counts), in shares of the picture. Names of the classes from data.yaml, from
 * `options.labels`, or from classes.txt and its kin. A picture without a label file holds nothing. Throws DatasetError
 * naming file and line.
 */
export async function readYoloDataset(path: string, options: DatasetOptions = {}): Promise<BoxDataset> {
  const notes: string[] = [];
  const yaml = await findYaml(path);
  const root = (await kindOf(path)) === 'file' ? dirname(path) : path;
  const pictures = (await findPictures(root, yaml, options, notes)).slice(0, options.limit);
  if (pictures.length === 0)
    throw new DatasetError('DATASET_EMPTY', `${path} holds no picture; name their folder with --images`);
  const labelFiles = pictures.map(labelFileOf);
  const names = await findNames(root, yaml, options, labelFiles[0]);
  let objects = 0;
  let unlabelled = 0;
  const read = await mapFew(pictures, async (file, index) => {
    const size = await pictureSize(file);
    const labels = labelFiles[index];
    const found = await isFile(labels);
    if (!found) unlabelled++;
    const truths = found ? parseYoloLabels(await readText(labels, MAX_TEXT_BYTES), labels, names, size) : [];
    objects += truths.length;
    if (objects > MAX_OBJECTS) throw new DatasetError('DATASET_TOO_LARGE', `${path}: more than ${MAX_OBJECTS} objects`);
    return { id: index + 1, file, ...size, truths };
  });
  if (unlabelled === read.length) {
    throw new DatasetError(
      'DATASET_EMPTY',
      `${path}: no picture has a label file; the first one's would be ${labelFiles[0]}`,
    );
  }
  if (unlabelled > 0) notes.push(`${unlabelled} pictures without a label file count as holding nothing`);
  return {
    kind: 'boxes',
    format: 'yolo',
    categories: names,
    categoryIds: names.map((_, index) => index),
    pictures: read,
    notes,
  };
}

/** Objects of one label file; boxes in pixels of a picture of `size`. Throws DATASET_INVALID naming file and line. */
function parseYoloLabels(
  text: string,
  file: string,
  names: readonly string[],
  size: { width: number; height: number },
): CocoTruth[] {
  const truths: CocoTruth[] = [];
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === '') continue;
    const refuse = (problem: string): never => {
      throw new DatasetError('DATASET_INVALID', `${file}:${index + 1}: ${problem}`);
    };
    const values = line.trim().split(/\s+/).map(Number);
    const [category, ...shares] = values;
    if (shares.length !== 4 && (shares.length < 6 || shares.length % 2 === 1)) {
      refuse(`${values.length} values; expected class, centre x, centre y, width, height, or a class and an outline`);
    }
    if (!Number.isSafeInteger(category) || category < 0)
      refuse(`class "${line.trim().split(/\s+/)[0]}" is no whole number`);
    if (category >= names.length)
      refuse(`class ${category}, there are ${names.length} names (${names.slice(0, 5).join(', ')})`);
    // Tools round and people draw over the edge: a hair beyond 0..1 is no reason to stop.
    const wrong = shares.find((share) => !(share >= -0.01 && share <= 1.01));
    if (wrong !== undefined)
      refuse(`${Number.isNaN(wrong) ? 'a value is no number' : `${wrong} is not a share of 0 to 1`}`);
    const xs =
      shares.length === 4
        ? [shares[0] - shares[2] / 2, shares[0] + shares[2] / 2]
        : shares.filter((_, i) => i % 2 === 0);
    const ys =
      shares.length === 4
        ? [shares[1] - shares[3] / 2, shares[1] + shares[3] / 2]
        : shares.filter((_, i) => i % 2 === 1);
    const [left, top] = [Math.min(...xs) * size.width, Math.min(...ys) * size.height];
    const width = shares.length === 4 ? shares[2] * size.width : Math.max(...xs) * size.width - left;
    const height = shares.length === 4 ? shares[3] * size.height : Math.max(...ys) * size.height - top;
    if (!(width >= 0 && height >= 0)) refuse('width or height is below 0');
    truths.push({ category, box: [left, top, width, height], area: width * height });
  }
  return truths;
}

/** `.../images/a/b.jpg` has its labels in `.../labels/a/b.txt`; without such a folder beside the picture. */
function labelFileOf(picture: string): string {
  const parts = picture.split(sep);
  const at = parts.lastIndexOf('images');
  if (at >= 0) parts[at] = 'labels';
  parts[parts.length - 1] = `${stem(picture)}.txt`;
  return parts.join(sep);
}

async function findYaml(path: string): Promise<YoloYaml | undefined> {
  if ((await kindOf(path)) === 'file') return readYaml(path);
  for (const name of YAML_FILES) if (await isFile(join(path, name))) return readYaml(join(path, name));
  return undefined;
}

async function readYaml(file: string): Promise<YoloYaml> {
  const counter = new LineCounter();
  const document = parseDocument(await readText(file, MAX_YAML_BYTES), { lineCounter: counter });
  const refuse = (line: number, problem: string): never => {
    throw new DatasetError('DATASET_INVALID', `${file}:${line}: ${problem}`);
  };
  const [error] = document.errors;
  if (error !== undefined) refuse(counter.linePos(error.pos[0]).line, `no YAML: ${error.message.split('\n')[0]}`);
  let data: unknown;
  try {
    data = document.toJS({ maxAliasCount: 100 });
  } catch (cause) {
    refuse(1, `no YAML: ${(cause as Error).message.split('\n')[0]}`);
  }
  if (typeof data !== 'object' || data === null || Array.isArray(data))
    return refuse(1, 'expected keys such as names, val');
  const keys = data as Record<string, unknown>;
  const lineOf = (key: string): number => {
    const range = (document.get(key, true) as { range?: [number, number, number] } | undefined)?.range;
    return range === undefined ? 1 : counter.linePos(range[0]).line;
  };
  const splits = new Map<string, string[]>();
  for (const split of SPLITS) {
    const value = keys[split];
    if (value === undefined || value === null || value === '') continue;
    const listed = Array.isArray(value) ? value : [value];
    if (!listed.every((entry): entry is string => typeof entry === 'string')) {
      refuse(lineOf(split), `${split}: expected a path or a list of paths`);
    }
    splits.set(split, listed);
  }
  const names = keys.names === undefined ? undefined : namesOf(keys.names);
  if (keys.names !== undefined && names === undefined) {
    refuse(lineOf('names'), 'names: expected a list of texts, or numbers from 0 on with texts');
  }
  return { file, names, splits, root: resolve(dirname(file), typeof keys.path === 'string' ? keys.path : '.') };
}

function namesOf(value: unknown): string[] | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const list: unknown[] = Array.isArray(value) ? value : [];
  if (!Array.isArray(value)) {
    for (const [key, name] of Object.entries(value)) {
      if (!/^\d{1,5}$/.test(key)) return undefined;
      list[Number(key)] = name;
    }
  }
  // Array.from fills the holes of a map with gaps: such a map is refused.
  const names = Array.from(list, (name) => (typeof name === 'number' ? String(name) : name));
  return names.length > 0 && names.every((name): name is string => typeof name === 'string' && name !== '')
    ? names
    : undefined;
}

async function findPictures(
  root: string,
  yaml: YoloYaml | undefined,
  options: DatasetOptions,
  notes: string[],
): Promise<string[]> {
  if (options.images !== undefined) return listBelow(options.images, isPicture);
  const wanted = options.split === undefined ? SPLITS : [options.split];
  for (const split of wanted) {
    const listed = yaml?.splits.get(split);
    const folders = listed ?? [join('images', split), join(split, 'images')];
    const found: string[] = [];
    for (const entry of folders) {
      // Exports are moved about: the path as written, from the file's own folder, and without a leading "../".
      const places = [
        resolve(yaml?.root ?? root, entry),
        resolve(root, entry),
        resolve(root, entry.replace(/^(\.\.\/)+/, '')),
      ];
      for (const place of new Set(places)) {
        const kind = await kindOf(place);
        if (kind === undefined) continue;
        found.push(...(kind === 'directory' ? await listBelow(place, isPicture) : await readPictureList(place)));
        break;
      }
    }
    if (found.length > 0) {
      notes.push(`split ${split} of ${yaml?.file ?? root}`);
      return found;
    }
  }
  if (options.split !== undefined) {
    throw new DatasetError(
      'DATASET_EMPTY',
      `${root}: no pictures of split "${options.split}"; correct --split or data.yaml`,
    );
  }
  const images = join(root, 'images');
  return listBelow((await isDirectory(images)) ? images : root, isPicture);
}

/** A text file with the path of a picture in each line. */
async function readPictureList(file: string): Promise<string[]> {
  const lines = (await readText(file, MAX_TEXT_BYTES)).split(/\r?\n/).map((line) => line.trim());
  return lines.filter((line) => line !== '').map((line) => resolve(dirname(file), line));
}

async function findNames(
  root: string,
  yaml: YoloYaml | undefined,
  options: DatasetOptions,
  labelFile: string,
): Promise<string[]> {
  const asked = options.labels;
  if (asked === undefined && yaml?.names !== undefined) return yaml.names;
  const folders = [root, dirname(labelFile), dirname(dirname(labelFile)), dirname(root)];
  for (const file of asked === undefined ? folders.flatMap((f) => NAME_FILES.map((name) => join(f, name))) : [asked]) {
    if (asked === undefined && !(await isFile(file))) continue;
    const names = (await readText(file, MAX_YAML_BYTES))
      .trimEnd()
      .split(/\r?\n/)
      .map((line) => line.trim());
    const empty = names.indexOf('');
    if (empty >= 0)
      throw new DatasetError('DATASET_INVALID', `${file}:${empty + 1}: empty; write one class name a line`);
    return names;
  }
  throw new DatasetError(
    'DATASET_INVALID',
    `${root} does not name its classes; add data.yaml with "names", add classes.txt, or give --labels FILE`,
  );
}
