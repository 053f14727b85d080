#!/usr/bin/env node
// Our INT8 against Python's: `onnxruntime.quantization` (static QDQ, u8 activations, s8 weights per channel, the same
// range of weights), by each of its methods, and `vigie-models quantize` as it is without options, on the same calibration
// pictures and the same bytes of them, judged on human_test300 (person) by a paired bootstrap over pictures, and timed in
// turns in one process on one thread. Ours is held against whichever of Python's methods does best on the test set.
//   node benchmarks/compare/quantization.mjs --python PYTHON [--shared DIR] [--out DIR] [--only MODEL]
//     [--calibration-pictures N] [--quick]
// PYTHON has onnx and onnxruntime. Needs `npx tsc -b models`. --quick: few pictures, short timings: a smoke test.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, open, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { openDataset } from '@vigie/models/evaluate/open-dataset';
import { decodePicture } from '@vigie/models/package/picture';
import { listPictures } from '@vigie/models/quantize/calibration-pictures';
import { DEFAULT_FLOAT_SHARE } from '@vigie/models/quantize/float-block';
import { spreadOver } from '@vigie/models/quantize/quantize-input';
import { runQuantize } from '@vigie/models/quantize/quantize-run';
import { makePreprocessor } from '@vigie/models/runtime/preprocess';
import { averagePrecision, pairedBootstrap } from './quantization-bootstrap.mjs';
import { comparedModels } from './quantization-models.mjs';
import { markdownTable, verdict } from './quantization-report.mjs';
import { scoreModel } from './quantization-score.mjs';
import { timeInTurns } from './quantization-timing.mjs';

const repository = fileURLToPath(new URL('../..', import.meta.url));
const HELP = `node benchmarks/compare/quantization.mjs --python PYTHON [--shared DIR] [--out DIR] [--only MODEL]
  [--calibration-pictures N] [--quick]

Our INT8 against Python's onnxruntime.quantization on three models: AP by a paired bootstrap, size, time in turns.
PYTHON has onnx and onnxruntime; needs "npx tsc -b models" and ../shared/material. About 10 minutes on 4 cores.
`;
const { values } = parseArgs({
  options: {
    help: { type: 'boolean', short: 'h', default: false },
    python: { type: 'string' },
    shared: { type: 'string', default: join(repository, '..', 'shared') },
    out: { type: 'string' },
    only: { type: 'string' },
    'calibration-pictures': { type: 'string' },
    quick: { type: 'boolean', default: false },
  },
});
if (values.help) {
  process.stdout.write(HELP);
  process.exit(0);
}
if (values.python === undefined) {
  console.error('quantization: give --python PYTHON, one that has onnx and onnxruntime (pip install onnx onnxruntime)');
  process.exit(2);
}
const run = promisify(execFile);
const scale = values.quick
  ? { calibration: 10, pictures: 30, draws: 200, blocks: 6, blockMs: 40 }
  : { calibration: 40, draws: 2000, blocks: 48, blockMs: 80 };
/** Python's own default is MinMax. */
const PYTHON_METHODS = [
  { name: 'MinMax', options: ['--method', 'MinMax'] },
  ...['99.99', '99.999'].map((p) => ({
    name: `Percentile ${p}`,
    options: ['--method', 'Percentile', '--percentile', p],
  })),
].slice(0, values.quick ? 2 : undefined);
const datasets = join(values.shared, 'material', 'datasets');
const dataset = await openDataset(join(datasets, 'human_test300'), { limit: scale.pictures });
const pictures = spreadOver(
  await listPictures(join(datasets, 'calib200', 'images')),
  Number(values['calibration-pictures'] ?? scale.calibration),
);
const out = values.out ?? (await mkdtemp(join(tmpdir(), 'vigie-quantization-')));
await mkdir(out, { recursive: true });
// a folder of just these pictures: the command takes a folder
const calibration = await mkdtemp(join(tmpdir(), 'vigie-calibration-'));
for (const picture of pictures) await symlink(resolve(picture), join(calibration, basename(picture)));

const results = [];
for (const model of await comparedModels(repository, values.shared)) {
  if (values.only !== undefined && !model.name.toLowerCase().includes(values.only.toLowerCase())) continue;
  const float = await readFile(model.file);
  const stem = join(out, model.name.replaceAll(/[^\w.-]+/g, '-').toLowerCase());
  console.error(`${model.name}: quantizing, ours and Python's`);
  const [ours, pythons] = await Promise.all([quantizeOurs(model, float), quantizePython(model, stem)]);
  await writeFile(`${stem}.ours.onnx`, ours.built.bytes);
  console.error(`${model.name}: judging`);
  const score = (bytes, inputType) => scoreModel(model, { bytes, inputType }, dataset, 'person');
  const scored = {
    float: await score(float, 'float32'),
    ours: await score(ours.built.bytes, ours.built.report.inputType),
  };
  const all = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
  const once = new Uint16Array(dataset.pictures.length).fill(1);
  const figures = ({ ranked }) => ({
    ap: averagePrecision(ranked, scored.float.positives, once, all),
    ap50: averagePrecision(ranked, scored.float.positives, once, [0]),
  });
  for (const python of pythons) {
    python.scored = await score(python.bytes, 'float32');
    Object.assign(python, figures(python.scored));
  }
  const best = pythons.reduce((a, b) => (b.ap > a.ap ? b : a));
  scored.python = best.scored;
  const compare = (a, b, thresholds) =>
    pairedBootstrap(scored[a].ranked, scored[b].ranked, scored.float.positives, { draws: scale.draws, thresholds });
  console.error(`${model.name}: timing`);
  const result = {
    model: model.name,
    sha256: createHash('sha256').update(float).digest('hex'),
    calibration: ours.built.report.calibration,
    methods: ours.methods,
    block: ours.block,
    layersInInt8: ours.built.report.convolutions,
    layersInFloat: ours.built.report.floatConvolutions.length,
    bytes: { float: float.length, ours: ours.built.bytes.length, python: best.bytes.length },
    pythonMethods: pythons.map(({ name, ap, ap50 }) => ({ name, ap, ap50 })),
    pythonBest: best.name,
    ap: compare('ours', 'python', all),
    ap50: compare('ours', 'python', [0]),
    againstFloat: { ap: compare('ours', 'float', all), ap50: compare('ours', 'float', [0]) },
    time: await timeInTurns(ours.built.bytes, best.bytes, scale),
    python: best.versions,
  };
  if (ours.block && !ours.block.taken) {
    const { built } = await quantizeOurs(model, float, ours);
    const { ratio } = await timeInTurns(built.bytes, best.bytes, scale);
    result.withBlock = { ...ours.block, ...figures(await score(built.bytes, built.report.inputType)), ratio };
  }
  results.push({ ...result, verdict: verdict(result) });
  console.error(`${model.name}: ${JSON.stringify(results.at(-1).verdict)}`);
}
const report = {
  dataset: `human_test300, ${dataset.pictures.length} pictures, person`,
  calibrationPictures: pictures.length,
  quick: values.quick,
  cpu: cpus()[0]?.model,
  node: process.version,
  results,
};
await rm(calibration, { recursive: true });
const table = markdownTable(report);
await writeFile(join(out, 'quantization.json'), `${JSON.stringify(report, null, 2)}\n`);
await writeFile(join(out, 'quantization.md'), table);
process.stdout.write(table);
console.error(`quantization: written to ${out}`);
process.exitCode = results.every(({ verdict: { passed } }) => passed) ? 0 : 1;

/** As the command does without options; with `before`, by its method and with the block it found in float. */
function quantizeOurs(model, bytes, before) {
  return runQuantize({
    modelPath: model.file,
    bytes,
    input: model.input,
    reading: undefined,
    calibration,
    target: 'portable',
    method: before ? before.built.report.calibration.split(' ')[0] : 'auto',
    quantile: 1,
    percentile: undefined,
    headroom: 1,
    inputType: 'auto',
    exclude: new Set(before?.block.layers),
    floatShare: before ? 0 : DEFAULT_FLOAT_SHARE,
    measure: false,
    maxDrop: undefined,
    data: undefined,
    onProgress: () => {},
  });
}

/** The pictures go to Python as bytes, decoded and resized by us: both calibrate on the same numbers. */
async function quantizePython(model, stem) {
  const { input } = model;
  const bytesFile = `${stem}.pictures.bin`;
  const file = await open(bytesFile, 'w');
  const preprocessor = makePreprocessor({ ...input, mean: undefined, std: undefined, dtype: 'uint8' });
  for (const path of pictures) {
    preprocessor.write((await decodePicture(await readFile(path), input)).frame.data);
    await file.write(preprocessor.data);
  }
  await file.close();
  const triple = (name, value, absent) => [name, ...(value ?? [absent, absent, absent]).map(String)];
  const made = await Promise.all(
    PYTHON_METHODS.map(async ({ name, options }) => {
      const target = `${stem}.python-${name.toLowerCase().replaceAll(' ', '-')}.onnx`;
      const { stdout } = await run(
        values.python,
        [
          fileURLToPath(new URL('quantization-python.py', import.meta.url)),
          ...[model.file, target, '--pictures', bytesFile, '--size', String(input.width), String(input.height)],
          ...triple('--mean', input.mean, 0),
          ...triple('--std', input.std, 1),
          ...options,
        ],
        { maxBuffer: 2 ** 26 },
      );
      // warnings may stand before the answer
      return { name, bytes: await readFile(target), versions: JSON.parse(stdout.slice(stdout.lastIndexOf('{'))) };
    }),
  );
  await rm(bytesFile);
  return made;
}
