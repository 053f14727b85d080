import { basename, dirname, join } from 'node:path';
import type { CocoTruth } from './coco-match.js';
import { type BoxDataset, type DatasetOptions, MAX_JSON_BYTES, MAX_OBJECTS, MAX_PICTURES, SPLITS } from './dataset.js';
import { DatasetError } from './dataset-error.js';
import { compareText, foldersIn, isFile, kindOf, listBelow, mapFew, pictureSize, readText } from './dataset-files.js';
import { jsonLine } from './json-line.js';

type Json = unknown;
type JsonObject = Readonly<Record<string, Json>>;
type Id = number | string;

/**
 * Path of the COCO annotations that stand at `path`: the file itself, or `coco.json`, `_annotations.coco.json`,
 * `annotations/instances_<split>*.json` or the only .json of the folder; undefined when there is none.
 */
export async function findCocoFile(path: string, split?: string): Promise<string | undefined> {
  if ((await kindOf(path)) !== 'directory') return path.toLowerCase().endsWith('.json') ? path : undefined;
  const splits = split === undefined ? SPLITS : [split];
  const direct = ['coco.json', '_annotations.coco.json'].map((name) => join(path, name));
  const ofSplits = splits.map((name) => join(path, name, '_annotations.coco.json'));
  for (const file of split === undefined ? [...direct, ...ofSplits] : [...ofSplits, ...direct]) {
    if (await isFile(file)) return file;
  }
  const folders = await foldersIn(path);
  const listed = folders.includes('annotations')
    ? (await listBelow(join(path, 'annotations'), (file) => file.endsWith('.json'))).map((file) => file)
    : [];
  for (const name of splits) {
    const instances = listed.find((file) => basename(file).startsWith(`instances_${name}`));
    if (instances !== undefined) return instances;
  }
  return listed.length === 1 ? listed[0] : undefined;
}

/**
 * Reads COCO annotations (`images`, `annotations`, `categories`). Categories and pictures are sorted by id, as
 * pycocotools sorts them; an annotation's `ignore` has no effect, as there; one without an area counts by its box.
 * Throws DatasetError naming file and line.
 */
export async function readCocoDataset(file: string, options: DatasetOptions = {}): Promise<BoxDataset> {
  const text = await readText(file, MAX_JSON_BYTES);
  const root = parseJson(text, file);
  const refuse = (path: (string | number)[], problem: string): never => {
    const where = path.map((step) => (typeof step === 'number' ? `[${step}]` : `.${step}`)).join('');
    throw new DatasetError(
      'DATASET_INVALID',
      `${file}:${jsonLine(text, path)}: ${where.slice(1) || 'top'}: ${problem}`,
    );
  };
  if (!isObject(root)) return refuse([], 'expected an object with images, annotations and categories');
  const list = (key: string, most: number): JsonObject[] => {
    const value = root[key];
    if (!Array.isArray(value)) return refuse([key], `expected a list "${key}"; detection needs boxes and categories`);
    if (value.length > most) {
      throw new DatasetError('DATASET_TOO_LARGE', `${file}: ${value.length} ${key} exceed ${most}; split the data set`);
    }
    const wrong = value.findIndex((entry) => !isObject(entry));
    return wrong < 0 ? value : refuse([key, wrong], 'expected an object');
  };

  const entries = list('categories', 10_000).map((category, index) => {
    if (typeof category.name !== 'string' || category.name === '')
      refuse(['categories', index, 'name'], 'expected text');
    if (!Number.isSafeInteger(category.id)) refuse(['categories', index, 'id'], 'expected a whole number');
    return { id: category.id as number, name: category.name as string };
  });
  entries.sort((a, b) => a.id - b.id);
  const categoryIndex = new Map(entries.map(({ id }, index) => [id, index]));
  if (categoryIndex.size < entries.length) refuse(['categories'], 'two categories have the same id; ids must differ');

  const pictures = new Map<
    Id,
    { id: Id; index: number; name: string; width?: number; height?: number; truths: CocoTruth[] }
  >();
  for (const [index, image] of list('images', MAX_PICTURES).entries()) {
    const { id, file_name: name, width, height } = image;
    if (!isId(id)) return refuse(['images', index, 'id'], 'expected a whole number or text');
    if (pictures.has(id)) return refuse(['images', index, 'id'], `${id} stands twice; ids must differ`);
    if (typeof name !== 'string' || name === '') return refuse(['images', index, 'file_name'], 'expected text');
    if (name.includes('\0') || /^([/\\]|[A-Za-z]:)/.test(name) || name.split(/[/\\]/).includes('..')) {
      return refuse(['images', index, 'file_name'], `"${name.slice(0, 100)}" leaves the pictures' folder`);
    }
    for (const [key, size] of [
      ['width', width],
      ['height', height],
    ] as const) {
      if (size !== undefined && !(Number.isSafeInteger(size) && (size as number) > 0)) {
        return refuse(['images', index, key], 'expected a whole number of pixels above 0');
      }
    }
    pictures.set(id, { id, index, name, width: width as number, height: height as number, truths: [] });
  }

  const notes: string[] = [];
  const seen = new Set<number>();
  let foreign = 0;
  let withoutArea = 0;
  for (const [index, annotation] of list('annotations', MAX_OBJECTS).entries()) {
    const at = (key: string): (string | number)[] => ['annotations', index, key];
    const { id, image_id: image, category_id: category, bbox, area, iscrowd } = annotation;
    const picture = isId(image) ? pictures.get(image) : refuse(at('image_id'), 'expected the id of a picture');
    const truthCategory = categoryIndex.get(category as number);
    if (truthCategory === undefined) return refuse(at('category_id'), `${String(category)} is no id of a category`);
    if (!isBox(bbox))
      return refuse(at('bbox'), 'expected [x, y, width, height] in pixels, width and height not below 0');
    if (area !== undefined && !(typeof area === 'number' && area >= 0)) return refuse(at('area'), 'expected a number');
    if (id !== undefined) {
      if (!Number.isSafeInteger(id)) return refuse(at('id'), 'expected a whole number');
      if (seen.has(id as number)) return refuse(at('id'), `${String(id)} stands twice; ids must differ`);
      seen.add(id as number);
      if (id === 0)
        notes.push('annotation id 0: pycocotools never counts that object as found, and neither is it here');
    }
    if (picture === undefined) {
      foreign++;
      continue;
    }
    if (area === undefined) withoutArea++;
    picture.truths.push({
      category: truthCategory,
      box: bbox,
      area: area ?? bbox[2] * bbox[3],
      crowd: iscrowd === 1 || iscrowd === true,
      ...(id === undefined ? {} : { id: id as number }),
    });
  }
  if (foreign > 0) notes.push(`${foreign} annotations of pictures that are not listed were left out`);
  if (withoutArea > 0) notes.push(`${withoutArea} annotations without an area count by the area of their box`);

  const sorted = [...pictures.values()].sort((a, b) => compareIds(a.id, b.id)).slice(0, options.limit);
  if (sorted.length === 0) throw new DatasetError('DATASET_EMPTY', `${file} lists no picture`);
  const folder = options.images ?? (await pictureFolder(file, sorted[0].name));
  return {
    kind: 'boxes',
    format: 'coco',
    categories: entries.map(({ name }) => name),
    categoryIds: entries.map(({ id }) => id),
    pictures: await mapFew(sorted, async ({ id, index, name, width, height, truths }) => {
      const path = join(folder, name);
      if (!(await isFile(path))) {
        const line = jsonLine(text, ['images', index, 'file_name']);
        throw new DatasetError(
          'PICTURE_MISSING',
          `${file}:${line}: ${path} is not there; name the pictures' folder with --images`,
        );
      }
      const size = width === undefined || height === undefined ? await pictureSize(path) : { width, height };
      return { id, file: path, ...size, truths };
    }),
    notes: [...new Set(notes)],
  };
}

/** Where the first picture lies: beside the annotations, in `images/`, or in the split's folder beside `annotations/`. */
async function pictureFolder(file: string, firstName: string): Promise<string> {
  const beside = dirname(file);
  const above = dirname(beside);
  const split = /^instances_(\w+)\.json$/.exec(basename(file))?.[1];
  const folders = [join(beside, 'images'), beside, join(above, 'images'), above];
  if (split !== undefined) folders.unshift(join(above, split), join(above, 'images', split), join(beside, split));
  for (const folder of folders) if (await isFile(join(folder, firstName))) return folder;
  throw new DatasetError(
    'PICTURE_MISSING',
    `${file}: picture ${firstName} is in none of ${folders.join(', ')}; name the pictures' folder with --images`,
  );
}

function parseJson(text: string, file: string): Json {
  try {
    return JSON.parse(text);
  } catch (error) {
    const message = (error as Error).message;
    // V8 names the place as an offset, and not at all when the text just ends.
    const offset = /position (\d+)/.exec(message)?.[1];
    const line = text.slice(0, offset === undefined ? text.length : Number(offset)).split('\n').length;
    throw new DatasetError('DATASET_INVALID', `${file}:${line}: no JSON: ${message.split('\n')[0].slice(0, 200)}`);
  }
}

function isObject(value: Json): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isId(value: Json): value is Id {
  return Number.isSafeInteger(value) || (typeof value === 'string' && value !== '');
}

function isBox(value: Json): value is [number, number, number, number] {
  return (
    Array.isArray(value) &&
    value.length === 4 &&
    value.every((part) => typeof part === 'number' && Math.abs(part) < 1e9) &&
    value[2] >= 0 &&
    value[3] >= 0
  );
}

/** Numbers before texts, each in their own order. */
function compareIds(a: Id, b: Id): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  if (typeof a === 'string' && typeof b === 'string') return compareText(a, b);
  return typeof a === 'number' ? -1 : 1;
}
