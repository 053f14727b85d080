// What a package finds: average precision on labelled sets, recall and precision on our clip, alarms on real clips.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { scoreClip } from '../../dist/evaluate/clip-score.js';
import { evaluatePackage } from '../../dist/evaluate/evaluate-package.js';
import { openDataset } from '../../dist/evaluate/open-dataset.js';
import { openPackageDirectory } from '../../dist/package/package.js';
import { loadModel } from '../../dist/runtime/load-model.js';
import { material, models, readJson, round } from './places.mjs';

const SETS = ['human_test300', 'pv30', 'cafe50'].map((name) => join(material, 'datasets', name));
const ROOM = join(material, 'videos', 'intel_one-by-one-person-detection.mp4');
const CARS = join(material, 'videos', 'intel_car-detection.mp4');
/** Frames (from 1) between which two other detectors agree on a person; see the material's README. */
const VISITS = [
  [64, 192],
  [229, 446],
  [507, 695],
  [748, 866],
  [933, 1195],
  [1238, 1359],
];
/** Frames around a visit in which somebody comes or goes: neither found nor false. */
const DOORWAY = 10;
const SETTINGS = { thresholdFloor: 0.001, maxDetections: 100, iou: 0.5, topK: 1, threads: 1, classMap: new Map() };

/** Average precision of a detector; a set that is not on this machine is left out and said. */
export async function setFigures(directory) {
  const open = await openPackageDirectory(directory);
  const figures = [];
  for (const set of SETS.filter(here)) {
    const { result } = await evaluate(directory, open, set);
    const { ap, ap50, ap75 } = result.summary;
    figures.push({
      dataset: `${basename(set)} (${result.dataset.pictures} pictures, ${result.dataset.objects} persons)`,
      ...{ ap: round(ap), ap50: round(ap50), ap75: round(ap75) },
    });
  }
  return figures;
}

/** What a detector finds in clips, at its own threshold; likewise. */
export async function clipFigures(directory, { realClips }) {
  const open = await openPackageDirectory(directory);
  const model = await loadModel(directory, open, { threads: 1 });
  const threshold = open.manifest.thresholds.default;
  const figures = [await yardFigures(model, threshold)];
  if (realClips && here(ROOM)) figures.push(await roomFigures(model, threshold));
  if (realClips && here(CARS)) figures.push(await carFigures(model, threshold));
  await model.close();
  return figures;
}

/** Figures of a classifier on folders per label. */
export async function classifierFigures(directory, folders) {
  const open = await openPackageDirectory(directory);
  const figures = [];
  for (const { path, what } of folders) {
    const { result } = await evaluate(directory, open, path);
    const person = result.perClass[result.classNames.indexOf('person')];
    figures.push({
      dataset: `${what} (${result.dataset.pictures} pictures)`,
      ...{ accuracy: round(result.top1), recall: round(person.recall), precision: round(person.precision) },
    });
  }
  return figures;
}

async function evaluate(directory, open, path) {
  return evaluatePackage(directory, open, await openDataset(path), path, SETTINGS);
}

async function yardFigures(model, threshold) {
  const truth = await readJson(join(models, 'media', 'yard.boxes.json'));
  const detections = await watch(model, join(models, 'media', 'yard.mp4'));
  const { recall, precision } = scoreClip(detections, truth, { iou: 0.5, minVisible: 0.3, threshold });
  return {
    dataset: `models/media/yard.mp4 (${truth.frames.length} frames, synthetic)`,
    ...{ threshold, iou: 0.5, recall: round(recall), precision: round(precision) },
  };
}

async function roomFigures(model, threshold) {
  const seen = (await watch(model, ROOM)).map((found) => found.length > 0);
  const inVisit = (frame, room) => VISITS.some(([first, last]) => frame >= first - room && frame <= last + room);
  const within = VISITS.map(([first, last]) => seen.slice(first - 1, last));
  const empty = seen.filter((_, index) => !inVisit(index + 1, DOORWAY));
  return {
    dataset: `Intel one-by-one room clip (${seen.length} frames)`,
    threshold,
    visits: VISITS.length,
    visitsFound: within.filter((frames) => frames.some(Boolean)).length,
    visitFramesFound: round(within.flat().filter(Boolean).length / within.flat().length),
    emptyFrames: empty.length,
    emptyFramesWithAlarm: empty.filter(Boolean).length,
  };
}

async function carFigures(model, threshold) {
  const seen = (await watch(model, CARS)).map((found) => found.length > 0);
  return {
    dataset: `Intel car clip (${seen.length} frames, nobody in it)`,
    ...{ threshold, framesWithAlarm: seen.filter(Boolean).length },
  };
}

/** The detections of every frame, fed as the agent does: ffmpeg, bilinear, planes G, B, R of the model's size. */
async function watch(model, clip) {
  const detections = [];
  for (const frame of clipFrames(model.input, clip)) detections.push((await model.detect(frame)).detections);
  return detections;
}

export function clipFrames({ width, height }, clip) {
  const filter = `scale=${width}:${height}:flags=bilinear,format=gbrp`;
  const args = ['-v', 'error', '-threads', '1', '-i', clip, '-vf', filter, '-f', 'rawvideo', '-'];
  const { stdout, status, stderr } = spawnSync('ffmpeg', args, { maxBuffer: 2 ** 30 });
  if (status !== 0) throw new Error(`ffmpeg: ${stderr}`);
  const size = 3 * width * height;
  return Array.from({ length: stdout.length / size }, (_, index) => ({
    ...{ width, height },
    data: stdout.subarray(index * size, (index + 1) * size),
  }));
}

function here(path) {
  if (existsSync(path)) return true;
  console.error(`not measured: ${basename(path)}; ../shared/material beside the repository does not hold it`);
  return false;
}
