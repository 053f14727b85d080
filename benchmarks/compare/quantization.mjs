#!/usr/bin/env node
// Our INT8 against Python's: `onnxruntime.quantization` (static QDQ, u8 activations, s8 weights per channel, the same
// range of weights) and `vigie-models quantize --method auto`, on the same calibration pictures and the same bytes of them,
// judged on human_test300 (person) by a paired bootstrap over pictures, and timed in turns in one process on one thread.
//   node benchmarks/compare/quantization.mjs --python PYTHON [--shared DIR] [--out DIR] [--quick]
// PYTHON has onnx and onnxruntime. Needs `npx tsc -b models`. --quick: 40 pictures, 200 draws, short timings: a smoke test.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { openDataset } from '@vigie/models/evaluate/open-dataset';
import { decodePicture } from '@vigie/models/package/picture';
import { listPictures } from '@vigie/models/quantize/calibration-pictures';
import { runQuantize } from '@vigie/models/quantize/quantize-run';
import { makePreprocessor } from '@vigie/models/runtime/preprocess';
import { pairedBootstrap } from './quantization-bootstrap.mjs';
import { comparedModels } from './quantization-models.mjs';
import { markdownTable, verdict } from './quantization-report.mjs';
import { scoreModel } from './quantization-score.mjs';
import { timeInTurns } from './quantization-timing.mjs';

const repository = fileURLToPath(new URL('../..', import.meta.url));
const { values } = parseArgs({
  options: {
    python: { type: 'string' },
    shared: { type: 'string', default: join(repository, '..', 'shared') },
    out: { type: 'string' },
    only: { type: 'string' },
    quick: { type: 'boolean', default: false },
  },
});
if (values.python === undefined) {
  console.error('quantization: give --python PYTHON, one that has onnx and onnxruntime (pip install onnx onnxruntime)');
  process.exit(2);
}
const run = promisify(execFile);
const scale = values.quick
  ? { pictures: 40, draws: 200, blocks: 4, blockMs: 60 }
  : { draws: 2000, blocks: 24, blockMs: 150 };
const datasets = join(values.shared, 'material', 'datasets');
const calibration = join(datasets, 'calib200', 'images');
const dataset = await openDataset(join(datasets, 'human_test300'), { limit: scale.pictures });
const pictures = await listPictures(calibration);
const out = values.out ?? (await mkdtemp(join(tmpdir(), 'vigie-quantization-')));
await mkdir(out, { recursive: true });

const results = [];
for (const model of await comparedModels(repository, values.shared)) {
  if (values.only !== undefined && !model.name.toLowerCase().includes(values.only.toLowerCase())) continue;
  console.error(`${model.name}: ours`);
  const float = await readFile(model.file);
  const stem = join(out, model.name.replaceAll(/[^\w.-]+/g, '-').toLowerCase());
  const ours = await quantizeOurs(model, float);
  await writeFile(`${stem}.ours.onnx`, ours.built.bytes);
  console.error(`${model.name}: Python`);
  const python = await quantizePython(model, stem);
  console.error(`${model.name}: judging`);
  const score = (bytes, inputType) => scoreModel(model, { bytes, inputType }, dataset, 'person');
  const scored = {
    float: await score(float, 'float32'),
    ours: await score(ours.built.bytes, ours.built.report.inputType),
    python: await score(python.bytes, 'float32'),
  };
  const compare = (a, b, thresholds) =>
    pairedBootstrap(scored[a].ranked, scored[b].ranked, scored.float.positives, { draws: scale.draws, thresholds });
  const all = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
  console.error(`${model.name}: timing`);
  const result = {
    model: model.name,
    sha256: createHash('sha256').update(float).digest('hex'),
    calibration: ours.built.report.calibration,
    methods: ours.methods,
    layersInInt8: ours.built.report.convolutions,
    layersInFloat: ours.built.report.floatConvolutions.length,
    bytes: { float: float.length, ours: ours.built.bytes.length, python: python.bytes.length },
    ap: compare('ours', 'python', all),
    ap50: compare('ours', 'python', [0]),
    againstFloat: { ap: compare('ours', 'float', all), ap50: compare('ours', 'float', [0]) },
    time: await timeInTurns(ours.built.bytes, python.bytes, scale),
    python: python.versions,
  };
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
const table = markdownTable(report);
await writeFile(join(out, 'quantization.json'), `${JSON.stringify(report, null, 2)}\n`);
await writeFile(join(out, 'quantization.md'), table);
process.stdout.write(table);
console.error(`quantization: written to ${out}`);
process.exitCode = results.every(({ verdict: { passed } }) => passed) ? 0 : 1;

function quantizeOurs(model, bytes) {
  return runQuantize({
    modelPath: model.file,
    bytes,
    input: model.input,
    reading: undefined,
    calibration,
    target: 'portable',
    method: 'auto',
    quantile: 1,
    percentile: undefined,
    headroom: 1,
    inputType: 'auto',
    exclude: new Set(),
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
  const target = `${stem}.python.onnx`;
  const triple = (name, value, absent) => [name, ...(value ?? [absent, absent, absent]).map(String)];
  const { stdout } = await run(
    values.python,
    [
      fileURLToPath(new URL('quantization-python.py', import.meta.url)),
      ...[model.file, target, '--pictures', bytesFile, '--size', String(input.width), String(input.height)],
      ...triple('--mean', input.mean, 0),
      ...triple('--std', input.std, 1),
    ],
    { maxBuffer: 2 ** 26 },
  );
  await rm(bytesFile);
  // warnings may stand before the answer
  return { bytes: await readFile(target), versions: JSON.parse(stdout.slice(stdout.lastIndexOf('{'))) };
}
