#!/usr/bin/env node
// Measures the zoo's packages: average precision, our clip, real clips, crops, size, time. Writes models/zoo/measured.json,
// the `metrics` of the manifests and the table of docs/zoo.md. Needs `npx tsc -b models`, ffmpeg, and for the third-party
// sets and clips ../shared/material beside the repository; what is missing is left out and said.
//   node models/scripts/measure-zoo.mjs [--hardware TEXT] [--crops DIR=NAME]... [--only accuracy|time]
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { openPackageDirectory } from '../dist/package/package.js';
import { classifierFigures, clipFigures, setFigures } from './zoo/measure-accuracy.mjs';
import { timeInTurns } from './zoo/measure-time.mjs';
import { withMetrics, writeManifest } from './zoo/package-folder.mjs';
import { CLASSIFIERS, crops, DETECTORS, readJson, repository, zoo } from './zoo/places.mjs';
import { measuredTable } from './zoo/table.mjs';

const { values } = parseArgs({
  options: {
    hardware: { type: 'string' },
    // folders per label beside our own crops, with their name: a training run's held-out crops
    crops: { type: 'string', multiple: true, default: [] },
    zoo: { type: 'string', default: zoo },
    only: { type: 'string' },
    worker: { type: 'string' },
    part: { type: 'string' },
  },
});
const PAGE = join(repository, 'docs', 'zoo.md');
const place = resolve(values.zoo);
const measuredFile = join(place, 'measured.json');
const folders = (names) =>
  names.map((name) => join(place, name)).filter((path) => existsSync(join(path, 'manifest.yaml')));

async function measureAll() {
  const before = await readJson(measuredFile, {});
  const packages = [...folders(DETECTORS), ...folders(CLASSIFIERS)];
  const hardware = values.hardware ?? (await processor());
  const opened = await Promise.all(packages.map((path) => openPackageDirectory(path)));
  const digestOf = (path) => opened[packages.indexOf(path)].manifest.model.sha256;
  const measured = { hardware, packages: {}, time: before.time ?? {}, sizes: {} };

  const accuracy =
    values.only === 'time'
      ? packages.map((path) =>
          (before.packages?.[digestOf(path)] ?? []).filter((figure) => !('latencyMs.p50' in figure)),
        )
      : await Promise.all(packages.map(accuracyOf));
  if (values.only !== 'accuracy') {
    const [detectors, classifiers] = [folders(DETECTORS), folders(CLASSIFIERS)];
    const times = new Map([
      ...(await timeInTurns(detectors, { yolox: true })),
      ...(await timeInTurns(classifiers, { yolox: false })),
    ]);
    measured.time = Object.fromEntries([...times].map(([key, time]) => [basename(key), time]));
  }
  for (const [index, path] of packages.entries()) {
    const bytes = await modelBytes(opened[index]);
    measured.sizes[basename(path)] = bytes;
    const time = measured.time[basename(path)];
    measured.packages[digestOf(path)] = [
      ...accuracy[index],
      ...(time ? [{ dataset: 'the model alone, 1 thread', hardware, 'latencyMs.p50': time.p50 }] : []),
    ];
  }
  await writeFile(measuredFile, `${JSON.stringify(measured, null, 2)}\n`);
  for (const [index, path] of packages.entries()) {
    const { manifest } = opened[index];
    const training = (manifest.metrics ?? []).filter(({ source }) => source !== undefined);
    await writeManifest(path, withMetrics(manifest, [...training, ...measured.packages[manifest.model.sha256]]));
  }
  const table = measuredTable(
    packages.map((path, index) => ({ folder: basename(path), manifest: opened[index].manifest })),
    measured,
  );
  if (place === resolve(zoo)) await fillPage(table);
  console.log(table);
}

/** The parts of a package's accuracy, each of which a process of its own measures. */
const PARTS = {
  detect: {
    sets: setFigures,
    clips: async (path) => {
      const { manifest } = await openPackageDirectory(path);
      // TensorFlow.js computes what ONNX Runtime does; its minutes on long clips would tell nothing new
      return clipFigures(path, { realClips: manifest.model.engine === 'onnx' });
    },
  },
  classify: {
    crops: (path) => {
      const more = values.crops.map((pair) => pair.split('=')).map(([folder, what]) => ({ path: folder, what }));
      return classifierFigures(path, [{ path: crops, what: 'models/media/crops, rendered' }, ...more]);
    },
  },
};

async function accuracyOf(path) {
  const { manifest } = await openPackageDirectory(path);
  return (await Promise.all(Object.keys(PARTS[manifest.task]).map((part) => inOwnProcess(path, part)))).flat();
}

function inOwnProcess(path, part) {
  const script = fileURLToPath(import.meta.url);
  const args = [script, '--worker', path, '--part', part, ...values.crops.flatMap((pair) => ['--crops', pair])];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.on('data', (chunk) => {
    text += chunk;
  });
  return new Promise((done, failed) => {
    child.once('error', failed);
    child.once('exit', (code) => {
      if (code !== 0) return failed(new Error(`measuring ${part} of ${path} ended with ${code}`));
      console.error(`${basename(path)}: ${part} measured`);
      return done(JSON.parse(text));
    });
  });
}

/** The files of the model itself, weights beside it included. */
function modelBytes({ files }) {
  return files.filter(({ path }) => /\.(onnx|json|bin)$/.test(path)).reduce((sum, { size }) => sum + size, 0);
}

async function processor() {
  const info = await readFile('/proc/cpuinfo', 'utf8').catch(() => '');
  return `${cpus()[0]?.model.trim() ?? 'unknown processor'}, ${/\bavx(512)?_vnni\b/.test(info) ? 'VNNI' : 'no VNNI'}`;
}

/** The page keeps its words; only what stands between its two marks is written anew. */
async function fillPage(table) {
  const page = await readFile(PAGE, 'utf8');
  const [start, end] = ['<!-- measured -->', '<!-- /measured -->'];
  const [head, tail] = [page.indexOf(start), page.indexOf(end)];
  if (head < 0 || tail < head) throw new Error(`${PAGE}: the marks ${start} and ${end} are not there`);
  await writeFile(PAGE, `${page.slice(0, head + start.length)}\n${table}\n${page.slice(tail)}`);
}

if (values.worker) {
  const { manifest } = await openPackageDirectory(values.worker);
  console.log(JSON.stringify(await PARTS[manifest.task][values.part](values.worker)));
} else await measureAll();
