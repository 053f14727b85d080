#!/usr/bin/env node
// Average precision by `vigie-models evaluate` against the real pycocotools, on the same detections of real models.
// Needs `npx tsc -b models` and a Python with pycocotools (`python3 -m venv DIR && DIR/bin/pip install pycocotools`).
//   node benchmarks/compare/ap-against-pycocotools.mjs --python DIR/bin/python [--package P]... [--dataset D]...
//     [--class-map LABEL=CATEGORY]... [--json FILE]
// A data set is a folder or file with COCO annotations. Exit 0 when all twelve figures agree to 1e-4 everywhere.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { findCocoFile } from '../../models/dist/evaluate/coco-dataset.js';

const TOLERANCE = 1e-4;
/** In the order of pycocotools. */
const KEYS = 'ap ap50 ap75 apSmall apMedium apLarge ar1 ar10 ar100 arSmall arMedium arLarge'.split(' ');
const root = fileURLToPath(new URL('../..', import.meta.url));
const cli = join(root, 'models', 'dist', 'cli.js');
const script = fileURLToPath(new URL('./ap-pycocotools.py', import.meta.url));
const material = join(root, '..', 'shared', 'material', 'datasets');

const HELP = `node benchmarks/compare/ap-against-pycocotools.mjs --python PYTHON [--package P]... [--dataset D]...
  [--class-map LABEL=CATEGORY]... [--json FILE]

Average precision by vigie-models evaluate against the real pycocotools on the same detections. Exit 0: equal to 1e-4.
`;
const { values } = parseArgs({
  options: {
    help: { type: 'boolean', short: 'h', default: false },
    python: { type: 'string', default: 'python3' },
    package: { type: 'string', multiple: true },
    dataset: { type: 'string', multiple: true },
    'class-map': { type: 'string', multiple: true, default: [] },
    json: { type: 'string' },
  },
});
if (values.help) {
  process.stdout.write(HELP);
  process.exit(0);
}
const packages =
  values.package ?? ['person-detector-fp32', 'person-detector-int8'].map((name) => join(root, 'models', 'zoo', name));
const datasets =
  values.dataset ?? ['human_test300', 'pv30', 'cafe50'].map((name) => join(material, name)).filter(existsSync);
if (datasets.length === 0) fail('no data set: give --dataset DIR');

const rows = [];
const folder = await mkdtemp(join(tmpdir(), 'vigie-ap-'));
try {
  for (const path of packages) for (const dataset of datasets) rows.push(await compare(path, dataset));
} finally {
  await rm(folder, { recursive: true, force: true });
}
const largest = Math.max(...rows.map(({ difference }) => difference));
console.log(`largest difference of ${rows.length * KEYS.length} figures: ${largest.toExponential(1)}`);
if (values.json !== undefined) await writeFile(values.json, `${JSON.stringify(rows, null, 2)}\n`);
process.exitCode = largest <= TOLERANCE ? 0 : 1;

async function compare(path, dataset) {
  const maps = values['class-map'].flatMap((pair) => ['--class-map', pair]);
  run(process.execPath, [
    cli,
    'evaluate',
    path,
    '--dataset',
    dataset,
    '--format',
    'coco',
    '--out',
    folder,
    '--save-detections',
    ...maps,
  ]);
  const ours = JSON.parse(await readFile(join(folder, 'result.json'), 'utf8'));
  const names = ours.classes.matched.map(({ category }) => category);
  const args = [script, await findCocoFile(dataset), join(folder, 'detections.json'), JSON.stringify(names)];
  const theirs = JSON.parse(run(values.python, args));
  const differences = KEYS.map((key, index) => Math.abs(ours.summary[key] - theirs.stats[index]));
  const row = {
    package: basename(path),
    version: `${ours.package.version} ${ours.package.precision}`,
    dataset: basename(dataset),
    pictures: ours.dataset.pictures,
    ours: KEYS.map((key) => ours.summary[key]),
    pycocotools: theirs.stats,
    pycocotoolsVersion: theirs.version,
    difference: Math.max(...differences),
  };
  console.log(`${row.package} on ${row.dataset} (${row.pictures} pictures), pycocotools ${theirs.version}`);
  for (const [index, key] of KEYS.entries()) {
    const [mine, other] = [row.ours[index], row.pycocotools[index]];
    console.log(
      `  ${key.padEnd(9)} ${mine.toFixed(6).padStart(9)} ${other.toFixed(6).padStart(9)}  ${differences[index].toExponential(1)}`,
    );
  }
  return row;
}

function run(command, args) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 2 ** 28 });
  if (status === 0) return stdout;
  return fail(
    `${command} ${args.slice(0, 3).join(' ')}: ${error?.message ?? stderr.trim().split('\n').slice(-3).join(' ')}`,
  );
}

function fail(message) {
  process.stderr.write(`ap-against-pycocotools: ${message}\n`);
  process.exit(2);
}
