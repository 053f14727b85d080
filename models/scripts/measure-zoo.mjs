#!/usr/bin/env node
// Measures the zoo's packages and writes models/zoo/measured.json: recall and precision on the project's own clip, AP50
// on data sets in COCO form, milliseconds per frame on one thread. Needs `npx tsc -b models` and ffmpeg.
//   node models/scripts/measure-zoo.mjs [--hardware TEXT] [--dataset DIR]...
import { spawnSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { scoreClip } from '../dist/evaluate/clip-score.js';
import { openPackageDirectory } from '../dist/package/package.js';
import { decodePicture } from '../dist/package/picture.js';
import { intersectionOverUnion } from '../dist/runtime/detection.js';
import { loadOnnxDetector } from '../dist/runtime/onnx-session.js';

const models = fileURLToPath(new URL('..', import.meta.url));
const { values } = parseArgs({
  options: { hardware: { type: 'string' }, dataset: { type: 'string', multiple: true, default: [] } },
});
// The evaluation floor of models/training/evaluate.py, so that its figures and these compare.
const FLOOR = 0.01;
const truth = JSON.parse(await readFile(join(models, 'media', 'yard.boxes.json'), 'utf8'));
const measured = {};

for (const name of ['person-detector-fp32', 'person-detector-int8']) {
  const directory = join(models, 'zoo', name);
  const open = await openPackageDirectory(directory);
  const model = await loadOnnxDetector(directory, open, { threshold: FLOOR, threads: 1 });
  const figures = [...(await clipFigures(model)), await latency(model)];
  for (const dataset of values.dataset) figures.push(await averagePrecision(model, dataset));
  await model.close();
  measured[open.manifest.model.sha256] = figures;
  console.error(name, JSON.stringify(figures, null, 1));
}
await writeFile(join(models, 'zoo', 'measured.json'), `${JSON.stringify(measured, null, 2)}\n`);

/** The clip as the agent feeds it: ffmpeg, bilinear, planes G, B, R of the model's size. */
function clipFrames({ width, height }) {
  const filter = `scale=${width}:${height}:flags=bilinear,format=gbrp`;
  const args = ['-v', 'error', '-i', join(models, 'media', 'yard.mp4'), '-vf', filter, '-f', 'rawvideo', '-'];
  const { stdout, status, stderr } = spawnSync('ffmpeg', args, { maxBuffer: 2 ** 30 });
  if (status !== 0) throw new Error(`ffmpeg: ${stderr}`);
  const size = 3 * width * height;
  return Array.from({ length: stdout.length / size }, (_, i) => ({
    width,
    height,
    data: stdout.subarray(i * size, (i + 1) * size),
  }));
}

async function clipFigures(model) {
  const detections = [];
  for (const frame of clipFrames(model.input)) detections.push((await model.detect(frame)).detections);
  return [0.3, 0.4].map((threshold) => {
    const score = scoreClip(detections, truth, { iou: 0.5, minVisible: 0.3, threshold });
    return {
      dataset: `models/media/yard.mp4 (${truth.frames.length} frames, synthetic)`,
      threshold,
      iou: 0.5,
      recall: round(score.recall),
      precision: round(score.precision),
    };
  });
}

async function latency(model) {
  const frames = clipFrames(model.input);
  const times = [];
  for (const frame of frames) times.push((await model.detect(frame)).stagesMs.inference);
  const sorted = times.slice(20).sort((a, b) => a - b);
  return {
    dataset: 'models/media/yard.mp4, inference alone, 1 thread',
    hardware: values.hardware ?? 'not stated',
    runtime: model.runtime,
    'latencyMs.p50': Math.round(10 * sorted[sorted.length >> 1]) / 10,
    'latencyMs.p95': Math.round(10 * sorted[Math.floor(0.95 * sorted.length)]) / 10,
  };
}

/** COCO-style AP at IoU 0.5, 101 recall points, one class; crowd boxes are left out. */
async function averagePrecision(model, directory) {
  const coco = JSON.parse(await readFile(join(directory, 'coco.json'), 'utf8'));
  const ranked = [];
  let persons = 0;
  for (const image of coco.images) {
    const wanted = coco.annotations
      .filter((a) => a.image_id === image.id && !a.iscrowd)
      .map(({ bbox: [x, y, w, h] }) => ({
        box: [x / image.width, y / image.height, (x + w) / image.width, (y + h) / image.height],
      }));
    persons += wanted.length;
    const picture = await decodePicture(await readFile(join(directory, 'images', image.file_name)), model.input);
    const { detections } = await model.detect(picture.frame, picture.content);
    for (const { score, box } of detections) {
      const best = wanted
        .filter((w) => !w.taken)
        .map((w) => ({ w, iou: intersectionOverUnion(w.box, box) }))
        .sort((a, b) => b.iou - a.iou)[0];
      const hit = best !== undefined && best.iou >= 0.5;
      if (hit) best.w.taken = true;
      ranked.push({ score, hit });
    }
  }
  ranked.sort((a, b) => b.score - a.score);
  let hits = 0;
  const curve = ranked.map(({ hit }, i) => {
    hits += hit ? 1 : 0;
    return { recall: hits / persons, precision: hits / (i + 1) };
  });
  for (let i = curve.length - 2; i >= 0; i--) curve[i].precision = Math.max(curve[i].precision, curve[i + 1].precision);
  let sum = 0;
  for (let r = 0; r <= 100; r++) sum += curve.find((p) => p.recall >= r / 100)?.precision ?? 0;
  return {
    dataset: `${basename(directory)} (${coco.images.length} pictures, ${persons} persons)`,
    ap50: round(sum / 101),
  };
}

function round(value) {
  return Math.round(value * 1e4) / 1e4;
}
