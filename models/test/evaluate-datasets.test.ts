import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import sharp from 'sharp';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { BoxDataset, Dataset } from '../src/evaluate/dataset.js';
import { DatasetError } from '../src/evaluate/dataset-error.js';
import { openDataset } from '../src/evaluate/open-dataset.js';

let root = '';
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'vigie-dataset-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

async function write(path: string, content: string | Buffer): Promise<void> {
  await mkdir(dirname(join(root, path)), { recursive: true });
  await writeFile(join(root, path), content);
}
const picture = (width = 40, height = 20, orientation?: number) =>
  sharp({ create: { width, height, channels: 3, background: '#888' } })
    .withMetadata({ orientation })
    .jpeg()
    .toBuffer();
const coco = (more: object = {}) => ({
  images: [
    { id: 9, file_name: 'b.jpg', width: 40, height: 20 },
    { id: 2, file_name: 'a.jpg', width: 40, height: 20 },
  ],
  annotations: [{ id: 1, image_id: 9, category_id: 5, bbox: [4, 2, 20, 10], area: 150, iscrowd: 0 }],
  categories: [
    { id: 5, name: 'person' },
    { id: 3, name: 'car' },
  ],
  ...more,
});
const voc = (objects: string, head = '<filename>a.jpg</filename>') =>
  `<annotation>\n${head}\n${objects}</annotation>\n`;
const vocBox = (x1: number, y1: number, x2: number, y2: number, more = '') =>
  `<object><name>person</name>${more}<bndbox><xmin>${x1}</xmin><ymin>${y1}</ymin><xmax>${x2}</xmax><ymax>${y2}</ymax></bndbox></object>\n`;

/** The error of opening `path`; its message must name `file:line` when that is given. */
async function refusal(code: string, options = {}, path = '.'): Promise<string> {
  const error = await openDataset(join(root, path), options).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(DatasetError);
  expect((error as DatasetError).code).toBe(code);
  return (error as DatasetError).message.replaceAll(`${root}/`, '');
}
const boxes = (dataset: Dataset): BoxDataset => {
  if (dataset.kind !== 'boxes') throw new Error('expected boxes');
  return dataset;
};

describe('COCO', () => {
  it('is guessed and sorted by id; areas and crowds are kept', async () => {
    await write('coco.json', JSON.stringify(coco()));
    await write('images/a.jpg', await picture());
    await write('images/b.jpg', await picture());
    const dataset = boxes(await openDataset(root));
    expect(dataset).toMatchObject({ format: 'coco', categories: ['car', 'person'], categoryIds: [3, 5], notes: [] });
    expect(dataset.pictures.map(({ id, width }) => [id, width])).toEqual([
      [2, 40],
      [9, 40],
    ]);
    expect(dataset.pictures[1].truths).toEqual([{ category: 1, box: [4, 2, 20, 10], area: 150, crowd: false, id: 1 }]);
    expect(boxes(await openDataset(root, { limit: 1 })).pictures).toHaveLength(1);
  });

  it('is found as COCO lays it out, and fills what may be missing', async () => {
    const annotations = [
      { id: 0, image_id: 2, category_id: 5, bbox: [1, 1, 4, 5] },
      { id: 1, image_id: 77, category_id: 5, bbox: [1, 1, 4, 5], area: 1 },
    ];
    const images = [{ id: 2, file_name: 'a.jpg' }];
    await write('annotations/instances_val2017.json', JSON.stringify(coco({ images, annotations })));
    // Turned by its EXIF: the upright size counts.
    await write('val2017/a.jpg', await picture(40, 20, 6));
    const dataset = boxes(await openDataset(root));
    expect(dataset.pictures).toMatchObject([{ width: 20, height: 40, truths: [{ area: 20, id: 0 }] }]);
    expect(dataset.notes).toHaveLength(3);
  });

  it.each([
    ['{"images": [\n,]}', 2, 'no JSON'],
    ['{"images": [', 1, 'half of it'],
    ['[]', 1, 'another type'],
    [
      JSON.stringify(coco({ images: [{ id: 1, file_name: '../../secret.jpg' }] }), null, 1),
      5,
      'a path that leaves the folder',
    ],
    [JSON.stringify(coco({ images: [{ id: 1, file_name: '/etc/passwd' }] }), null, 1), 5, 'an absolute path'],
    [JSON.stringify(coco({ images: [{ id: 1.5, file_name: 'a.jpg' }] }), null, 1), 4, 'an id of 1.5'],
    [
      JSON.stringify(coco({ annotations: [{ image_id: 2, category_id: 4, bbox: [0, 0, 1, 1] }] }), null, 1),
      19,
      'a foreign category',
    ],
    [
      JSON.stringify(coco({ annotations: [{ image_id: 2, category_id: 5, bbox: [0, 0, -1, 1] }] }), null, 1),
      20,
      'a negative width',
    ],
    [
      JSON.stringify(coco({ annotations: [{ image_id: 2, category_id: 5, bbox: [0, 0, null, 1] }] }), null, 1),
      20,
      'null in a box',
    ],
    [JSON.stringify(coco({ annotations: [{ image_id: 2, category_id: 5 }] }), null, 1), 17, 'a missing box'],
    [JSON.stringify(coco({ categories: [{ id: 5, name: '' }] }), null, 1), 34, 'a nameless category'],
  ])('refuses bad file %#', async (text, line) => {
    await write('coco.json', text);
    expect(await refusal('DATASET_INVALID')).toMatch(new RegExp(`^coco\\.json:${line}: `));
  });

  it('names a picture that is missing', async () => {
    await write('coco.json', JSON.stringify(coco(), null, 1));
    await refusal('PICTURE_MISSING');
    await write('images/a.jpg', await picture());
    expect(await refusal('PICTURE_MISSING')).toMatch(/^coco\.json:5: .*b\.jpg is not there/);
  });
});

describe('YOLO', () => {
  it('gives the boxes that COCO gives; outlines count by their bounding box', async () => {
    await write('images/a.jpg', await picture());
    await write('images/b.jpg', await picture());
    await write('classes.txt', 'car\nperson\n');
    await write('labels/b.txt', '1 0.35 0.35 0.5 0.5\r\n\n0 0.1 0.1 0.5 0.1 0.5 0.6 0.1 0.5\n');
    const dataset = boxes(await openDataset(root));
    expect(dataset).toMatchObject({ format: 'yolo', categories: ['car', 'person'] });
    expect(dataset.notes).toEqual(['1 pictures without a label file count as holding nothing']);
    const [box, outline] = dataset.pictures[1].truths;
    expect(box.box.map((value) => Math.round(value * 1e9) / 1e9)).toEqual([4, 2, 20, 10]);
    expect(box.area).toBeCloseTo(200, 9);
    expect(outline.box.map((value) => Math.round(value * 1e9) / 1e9)).toEqual([4, 2, 16, 10]);
  });

  it('follows data.yaml: names as a map, splits, paths of a moved export', async () => {
    await write('data.yaml', 'train: ../train/images\nval: ../valid/images\nnc: 2\nnames: {0: car, 1: person}\n');
    await write('valid/images/a.jpg', await picture());
    await write('valid/labels/a.txt', '1 0.5 0.5 1 1\n');
    await write('train/images/b.jpg', await picture());
    await write('train/labels/b.txt', '');
    const dataset = boxes(await openDataset(root));
    expect(dataset.categories).toEqual(['car', 'person']);
    expect(dataset.pictures.map(({ file }) => file)).toEqual([join(root, 'valid/images/a.jpg')]);
    expect(dataset.notes[0]).toContain('split val');
    expect(boxes(await openDataset(root, { split: 'train' })).pictures[0].file).toContain('b.jpg');
    await refusal('DATASET_EMPTY', { split: 'test' });
    expect(boxes(await openDataset(join(root, 'data.yaml'))).pictures).toHaveLength(1);
  });

  it.each([
    ['0 0.5 0.5 1', 'four values'],
    ['0 0.5 0.5 1 1 0.9', 'six values'],
    ['x 0.5 0.5 1 1', 'no class'],
    ['2 0.5 0.5 1 1', 'a class without a name'],
    ['0 0.5 nan 1 1', 'no number'],
    ['0 50 50 10 10', 'pixels'],
    ['0 0.5 0.5 -0.005 1', 'a negative width'],
  ])('refuses a line "%s": %s', async (line) => {
    await write('images/a.jpg', await picture());
    await write('classes.txt', 'car\nperson');
    await write('labels/a.txt', `0 0.5 0.5 1 1\n${line}\n`);
    expect(await refusal('DATASET_INVALID')).toMatch(/^labels\/a\.txt:2: /);
  });

  it('refuses what is no data.yaml, and a set without names or labels', async () => {
    await write('images/a.jpg', await picture());
    await write('labels/a.txt', '0 0.5 0.5 1 1\n');
    expect(await refusal('DATASET_INVALID')).toContain('--labels FILE');
    await write('data.yaml', 'names: [car]\nval: {a: 1}\n');
    expect(await refusal('DATASET_INVALID')).toMatch(/^data\.yaml:2: val/);
    await write('data.yaml', 'val: images\nnames: {0: a, 2: b}\n');
    expect(await refusal('DATASET_INVALID')).toMatch(/^data\.yaml:2: names/);
    await write('data.yaml', 'val: images\nnames: [a\n');
    expect(await refusal('DATASET_INVALID')).toMatch(/^data\.yaml:\d: no YAML/);
    await write('data.yaml', 'names: [car]\n');
    await rm(join(root, 'labels/a.txt'));
    await refusal('DATASET_EMPTY');
  });
});

describe('Pascal VOC', () => {
  it('counts pixels from 1, the last one included; difficult objects need not be found', async () => {
    await write('Annotations/a.xml', voc(vocBox(5, 3, 24, 12) + vocBox(1, 1, 40, 20, '<difficult>1</difficult>')));
    await write('JPEGImages/a.jpg', await picture());
    const dataset = boxes(await openDataset(root));
    expect(dataset).toMatchObject({ format: 'voc', categories: ['person'] });
    expect(dataset.pictures).toMatchObject([
      {
        width: 40,
        height: 20,
        truths: [
          { box: [4, 2, 20, 10], area: 200, ignore: false },
          { box: [0, 0, 40, 20], ignore: true },
        ],
      },
    ]);
  });

  it('takes corners as edges where a tool counts from 0, and the picture beside the file', async () => {
    await write('a.xml', voc(vocBox(0, 2, 24, 12), '<size><width>0</width><height>0</height></size>'));
    await write('a.jpg', await picture());
    const dataset = boxes(await openDataset(root));
    expect(dataset.pictures[0]).toMatchObject({ width: 40, truths: [{ box: [0, 2, 24, 10] }] });
    expect(dataset.notes[0]).toContain('counted from 0');
  });

  it('takes a split', async () => {
    for (const name of ['a', 'b']) {
      await write(`Annotations/${name}.xml`, voc(vocBox(1, 1, 4, 4), `<filename>${name}.jpg</filename>`));
      await write(`JPEGImages/${name}.jpg`, await picture());
    }
    await write('ImageSets/Main/test.txt', 'b  1\n');
    expect(boxes(await openDataset(root, { split: 'test' })).pictures).toMatchObject([
      { file: join(root, 'JPEGImages/b.jpg') },
    ]);
    await refusal('DATASET_NOT_FOUND', { split: 'nope' });
  });

  it.each([
    ['<!DOCTYPE annotation SYSTEM "http://127.0.0.1/x.dtd">\n<annotation/>', 1, 'a document type'],
    ['<annotations/>', 1, 'another element'],
    [voc('<object><name>a</name></object>'), 3, 'no box'],
    [voc('<object></object>'), 3, 'no name'],
    [voc(`\n${vocBox(5, 5, 4, 9)}`), 4, 'a box backwards'],
    [voc(vocBox(Number.NaN, 5, 4, 9)), 3, 'no number'],
    ['<annotation>\n<object>', 2, 'half of it'],
  ])('refuses bad file %#', async (text, line) => {
    await write('Annotations/a.xml', text);
    await write('JPEGImages/a.jpg', await picture());
    expect(await refusal('DATASET_INVALID')).toMatch(new RegExp(`^Annotations/a\\.xml:${line}: `));
  });
});

describe('a folder per class', () => {
  it('takes the folders as classes, also below the only folder, and by turns when limited', async () => {
    for (const file of ['data/cat/1.jpg', 'data/cat/2.jpg', 'data/dog/1.jpg', 'data/cat/notes.md', 'data/.git/x.jpg']) {
      await write(file, file.endsWith('.jpg') ? await picture() : 'text');
    }
    const dataset = await openDataset(root);
    expect(dataset).toMatchObject({ kind: 'classes', format: 'folders', categories: ['cat', 'dog'] });
    expect(dataset.pictures).toHaveLength(3);
    const limited = await openDataset(root, { limit: 2 });
    expect(limited.kind === 'classes' && limited.pictures.map(({ category }) => category)).toEqual([0, 1]);
  });

  it('takes the split', async () => {
    await write('train/cat/1.jpg', await picture());
    await write('val/cat/2.jpg', await picture());
    expect((await openDataset(root)).pictures).toMatchObject([{ file: join(root, 'val/cat/2.jpg') }]);
  });
});

describe('openDataset', () => {
  it('says when there is nothing, or nothing it knows', async () => {
    await refusal('DATASET_NOT_FOUND', {}, 'nowhere');
    await refusal('DATASET_FORMAT_UNKNOWN');
    await refusal('DATASET_NOT_FOUND', { format: 'coco' });
    await refusal('DATASET_EMPTY', { format: 'voc' });
    await refusal('DATASET_EMPTY', { format: 'folders' });
    await refusal('DATASET_EMPTY', { format: 'yolo' });
  });

  it('refuses text that is no UTF-8 by its line', async () => {
    await write('images/a.jpg', await picture());
    await write('classes.txt', Buffer.from('cat\nd\xf6g\n', 'latin1'));
    await write('labels/a.txt', '');
    expect(await refusal('DATASET_INVALID')).toMatch(/^classes\.txt:2: not UTF-8/);
  });
});
