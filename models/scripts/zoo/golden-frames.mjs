// Chooses the golden frames of a package and writes down what it finds in them.
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { openPackageDirectory } from '../../dist/package/package.js';
import { decodePicture } from '../../dist/package/picture.js';
import { intersectionOverUnion } from '../../dist/runtime/detection.js';
import { loadModel } from '../../dist/runtime/load-model.js';
import { round } from './places.mjs';

/**
 * Processors differ by far less (test/emulated.full.test.ts), one damaged channel by more (models/test/zoo.test.ts). A
 * classifier's overlap has nothing to say: its box is the whole picture.
 */
export const TOLERANCE = { detect: { score: 0.02, iou: 0.9 }, classify: { score: 0.02, iou: 0.5 } };
/** No golden score lies this close to the threshold: one that may be missing proves nothing. */
const MARGIN = 0.05;
/**
 * What shall be among the stills, and how many of each: more detections see more damage, but each frame is an inference on
 * the board between the assignment and the first live result.
 */
const GROUPS = [
  ['day', 1, ({ light, persons }) => light === 'day' && persons.length > 0],
  ['overcast', 1, ({ light, persons }) => light === 'overcast' && persons.length > 0],
  ['dusk', 1, ({ light, persons }) => light === 'dusk' && persons.length > 0],
  ['night', 1, ({ light, persons }) => light.startsWith('night') && persons.length > 0],
  ['empty', 1, ({ persons }) => persons.length === 0],
];

/**
 * Brings the stills to a model's own size: a board feeds its model frames that ffmpeg has scaled already, and what it
 * need not decode and scale in its self-test does not delay the swap. `out` then holds them with their boxes.
 */
export async function fitStills(stills, input, out) {
  await mkdir(out);
  await copyFile(join(stills, 'stills.boxes.json'), join(out, 'stills.boxes.json'));
  const { images } = JSON.parse(await readFile(join(stills, 'stills.boxes.json'), 'utf8'));
  for (const { file } of images) {
    const { frame } = await decodePicture(await readFile(join(stills, file)), input);
    const { width, height, data } = frame;
    const size = width * height;
    const rgb = new Uint8Array(3 * size);
    for (let i = 0; i < size; i++) rgb.set([data[2 * size + i], data[i], data[size + i]], 3 * i);
    const jpeg = sharp(rgb, { raw: { width, height, channels: 3 } }).jpeg({ quality: 95, chromaSubsampling: '4:4:4' });
    await writeFile(join(out, file), await jpeg.toBuffer());
  }
}

/**
 * Stills of each light and one without a person, by file name: clear for every given package, and of those the ones in
 * which they find most and err least. A light without a clear still is left out, the empty one must be there.
 */
export async function chooseStills(directories, stills) {
  const { width, height, images } = JSON.parse(await readFile(join(stills, 'stills.boxes.json'), 'utf8'));
  const merits = new Map(images.map(({ file }) => [file, 0]));
  for (const directory of directories) {
    await withModel(directory, MARGIN, async (detect, threshold) => {
      for (const { file, persons } of images) {
        const found = await detect(join(stills, file));
        const clear = !found.some(({ score }) => Math.abs(score - threshold) < MARGIN);
        const sure = found.filter(({ score }) => score >= threshold);
        const truths = persons.map(({ box: [x1, y1, x2, y2] }) => [x1 / width, y1 / height, x2 / width, y2 / height]);
        const hits = truths.filter((box) => sure.some((one) => intersectionOverUnion(one.box, box) >= 0.5)).length;
        const merit = clear ? 2 * hits - persons.length - 2 * (sure.length - hits) : Number.NEGATIVE_INFINITY;
        merits.set(file, merits.get(file) + merit);
      }
    });
  }
  const chosen = [];
  for (const [group, count, belongs] of GROUPS) {
    const clear = images
      .map(({ file }) => file)
      .filter((file, index) => belongs(images[index]) && merits.get(file) > -99);
    clear.sort((a, b) => merits.get(b) - merits.get(a) || a.localeCompare(b));
    chosen.push(...clear.slice(0, count));
    if (clear.length === 0)
      console.error(`golden frames: each ${group} still has a score within ${MARGIN} of the threshold`);
  }
  const empty = images.find(({ file }) => file === chosen.at(-1));
  if (chosen.length < 3 || empty.persons.length > 0) {
    throw new Error(`only ${chosen.length} clear golden frames (${chosen}), among them no empty one: move --threshold`);
  }
  return chosen;
}

/**
 * Three crops a label, as `label/file`, which every package answers rightly and with some doubt: damage moves a sure answer
 * least. Of the sure ones those nearest to 0.85.
 */
export async function chooseCrops(directories, folder, files) {
  const worst = new Map(files.map((file) => [file, 0]));
  for (const directory of directories) {
    await withModel(directory, 1, async (detect) => {
      for (const file of files) {
        const answer = (await detect(join(folder, file)))[0];
        const right = answer?.label === file.split('/')[0] && answer.score >= 0.7;
        worst.set(file, Math.max(worst.get(file), right ? Math.abs(answer.score - 0.85) : Number.POSITIVE_INFINITY));
      }
    });
  }
  const labels = [...new Set(files.map((file) => file.split('/')[0]))].sort();
  return labels.flatMap((label) => {
    const right = files.filter((file) => file.startsWith(`${label}/`) && Number.isFinite(worst.get(file)));
    if (right.length < 3) throw new Error(`only ${right.length} crops of "${label}" are answered rightly`);
    return right.sort((a, b) => worst.get(a) - worst.get(b) || a.localeCompare(b)).slice(0, 3);
  });
}

/** The manifest's golden frames with what the package in this folder finds in them. */
export async function expectedDetections(directory, golden) {
  return withModel(directory, 0, async (detect) => {
    const found = [];
    for (const frame of golden) {
      const detections = (await detect(join(directory, frame.file))).map(({ label, score, box }) => ({
        label,
        score: round(score),
        box: box.map((value) => round(value)),
      }));
      found.push({ ...frame, detections });
    }
    return found;
  });
}

/** `below`: how far under the manifest's threshold detections are still wanted. */
async function withModel(directory, below, work) {
  const open = await openPackageDirectory(directory);
  const threshold = open.manifest.thresholds.default;
  const model = await loadModel(directory, open, { threshold: Math.max(0, threshold - below) });
  try {
    const detect = async (file) => {
      const picture = await decodePicture(await readFile(file), open.manifest.input);
      return (await model.detect(picture.frame, picture.content)).detections;
    };
    return await work(detect, threshold);
  } finally {
    await model.close();
  }
}
