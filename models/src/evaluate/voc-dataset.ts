import { dirname, join } from 'node:path';
import type { CocoTruth } from './coco-match.js';
import { type BoxDataset, type DatasetOptions, MAX_OBJECTS, MAX_TEXT_BYTES, MAX_XML_BYTES } from './dataset.js';
import { DatasetError } from './dataset-error.js';
import {
  compareText,
  isDirectory,
  isFile,
  isPicture,
  listBelow,
  mapFew,
  pictureSize,
  readText,
  stem,
} from './dataset-files.js';
import { readXml, type XmlElement, XmlError } from './xml-reader.js';

/** One annotated object as the file has it: corners in pixels. */
export interface VocObject {
  name: string;
  corners: [number, number, number, number];
  difficult: boolean;
}

export interface VocAnnotation {
  /** Name of the picture, when the file gives one. */
  filename?: string;
  /** Pixels, when the file gives them. */
  size?: { width: number; height: number };
  objects: VocObject[];
}

const isXml = (file: string): boolean => file.toLowerCase().endsWith('.xml');

/** Whether Pascal VOC annotations stand at `path`: a folder `Annotations`, or .xml files directly in it. */
export async function isVoc(path: string): Promise<boolean> {
  if (await isDirectory(join(path, 'Annotations'))) return true;
  return (await isDirectory(path)) && (await listBelow(path, isXml)).some((file) => dirname(file) === path);
}

/**
 * Reads Pascal VOC annotations: `Annotations/*.xml` with `JPEGImages/`, or .xml files beside the pictures; a split is
 * `ImageSets/Main/<split>.txt`. Corners are whole pixels counted from 1, the last one included, as in VOC's devkit:
 * (1, 1, W, H) is all of the picture. A set with a corner at 0 was written by a tool that counts from 0: then corners
 * are edges. `difficult` objects need not be found. Throws DatasetError naming file and line.
 */
export async function readVocDataset(path: string, options: DatasetOptions = {}): Promise<BoxDataset> {
  const structured = await isDirectory(join(path, 'Annotations'));
  const folder = structured ? join(path, 'Annotations') : path;
  const listed = await listBelow(folder, isXml);
  const wanted = options.split === undefined ? undefined : await readSplit(path, options.split);
  const chosen = listed.filter((file) => wanted === undefined || wanted.has(stem(file)));
  const files = chosen.slice(0, options.limit);
  if (files.length === 0) throw new DatasetError('DATASET_EMPTY', `${folder} holds no .xml file that is asked for`);
  const annotations = await mapFew(files, async (file) => parseVoc(await readText(file, MAX_XML_BYTES), file));
  const total = annotations.reduce((sum, { objects }) => sum + objects.length, 0);
  if (total > MAX_OBJECTS) throw new DatasetError('DATASET_TOO_LARGE', `${path}: more than ${MAX_OBJECTS} objects`);

  const objects = annotations.flatMap((annotation) => annotation.objects);
  const categories = [...new Set(objects.map(({ name }) => name))].sort(compareText);
  const categoryIndex = new Map(categories.map((name, index) => [name, index]));
  const fromZero = objects.some(({ corners }) => corners[0] < 0.5 || corners[1] < 0.5);
  const places = await picturePlaces(
    options.images ?? (structured && (await isDirectory(join(path, 'JPEGImages'))) ? join(path, 'JPEGImages') : path),
  );
  const notes = objects.length === 0 ? ['no file holds an object'] : [];
  if (fromZero)
    notes.push('some box starts at pixel 0: corners were read as edges counted from 0, not as pixels from 1');
  const difficult = objects.filter((object) => object.difficult).length;
  if (difficult > 0) notes.push(`${difficult} objects marked difficult need not be found`);
  return {
    kind: 'boxes',
    format: 'voc',
    categories,
    categoryIds: categories.map((_, index) => index + 1),
    pictures: await mapFew(files, async (file, index) => {
      const { filename, size, objects: found } = annotations[index];
      const picture = (filename === undefined ? undefined : places.get(filename)) ?? places.get(stem(file));
      if (picture === undefined) {
        throw new DatasetError(
          'PICTURE_MISSING',
          `${file}: its picture ${filename ?? stem(file)} is not there; name the pictures' folder with --images`,
        );
      }
      const truths = found.map(({ name, corners: [x1, y1, x2, y2], difficult: ignore }): CocoTruth => {
        const [shift, extent] = fromZero ? [0, 0] : [1, 1];
        const [width, height] = [x2 - x1 + extent, y2 - y1 + extent];
        const category = categoryIndex.get(name)!;
        return { category, box: [x1 - shift, y1 - shift, width, height], area: width * height, ignore };
      });
      return { id: index + 1, file: picture, ...(size ?? (await pictureSize(picture))), truths };
    }),
    notes,
  };
}

/** Reads one annotation file. Throws DATASET_INVALID naming file and line. */
function parseVoc(text: string, file: string): VocAnnotation {
  const refuse = (line: number, problem: string): never => {
    throw new DatasetError('DATASET_INVALID', `${file}:${line}: ${problem}`);
  };
  let root: XmlElement;
  try {
    root = readXml(text);
  } catch (error) {
    if (error instanceof XmlError) return refuse(error.line, `no XML that annotation tools write: ${error.message}`);
    throw error;
  }
  if (root.name !== 'annotation') refuse(root.line, `<${root.name}> where <annotation> is due`);
  const child = (element: XmlElement, name: string): XmlElement | undefined =>
    element.children.find((candidate) => candidate.name === name);
  const number = (element: XmlElement, name: string): number => {
    const found = child(element, name);
    if (found === undefined) return refuse(element.line, `<${element.name}> lacks <${name}>`);
    const value = found.text === '' ? Number.NaN : Number(found.text);
    return Math.abs(value) < 1e9 ? value : refuse(found.line, `<${name}>: "${found.text.slice(0, 40)}" is no number`);
  };
  const objects = root.children
    .filter(({ name }) => name === 'object')
    .map((object): VocObject => {
      const name = child(object, 'name')?.text ?? '';
      if (name === '') refuse(object.line, '<object> lacks a <name>');
      const box = child(object, 'bndbox') ?? refuse(object.line, '<object> lacks <bndbox>');
      const [x1, y1, x2, y2] = [number(box, 'xmin'), number(box, 'ymin'), number(box, 'xmax'), number(box, 'ymax')];
      if (x2 < x1 || y2 < y1) refuse(box.line, `<bndbox>: (${x1}, ${y1}) to (${x2}, ${y2}) goes backwards`);
      return { name, corners: [x1, y1, x2, y2], difficult: child(object, 'difficult')?.text === '1' };
    });
  const sizeElement = child(root, 'size');
  const size =
    sizeElement === undefined
      ? undefined
      : { width: number(sizeElement, 'width'), height: number(sizeElement, 'height') };
  const filename = child(root, 'filename')?.text;
  return {
    filename: filename === '' ? undefined : filename,
    // Some tools write 0 x 0: then the picture itself tells.
    size: size !== undefined && size.width >= 1 && size.height >= 1 ? size : undefined,
    objects,
  };
}

/** Pictures by file name, and by name without extension. */
async function picturePlaces(folder: string): Promise<Map<string, string>> {
  const places = new Map<string, string>();
  for (const file of await listBelow(folder, isPicture)) {
    places.set(file.slice(dirname(file).length + 1), file);
    places.set(stem(file), file);
  }
  return places;
}

/** Names in `ImageSets/Main/<split>.txt`, the first word of each line. */
async function readSplit(path: string, split: string): Promise<Set<string>> {
  const file = join(path, 'ImageSets', 'Main', `${split}.txt`);
  if (!(await isFile(file))) throw new DatasetError('DATASET_NOT_FOUND', `${file} is not there; correct --split`);
  const lines = (await readText(file, MAX_TEXT_BYTES)).split('\n').map((line) => line.trim().split(/\s+/)[0]);
  return new Set(lines.filter((name) => name !== ''));
}
