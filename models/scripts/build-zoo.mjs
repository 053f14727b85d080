#!/usr/bin/env node
// Builds the packages of models/zoo from two FP32 networks: INT8 through `vigie-models quantize`, TensorFlow.js through
// `vigie-models convert`, and around each manifest, labels, licence and golden frames. Needs `npx tsc -b models`.
//   node models/scripts/build-zoo.mjs                     what stands in the zoo, made again
//   node models/scripts/build-zoo.mjs --detector FP32.onnx --classifier FP32.onnx --provenance FILE.json
// The same files give the same bytes. Figures come from measured.json (models/scripts/measure-zoo.mjs) and are left out
// for a model they were not measured on.
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { parse } from 'yaml';
import { runGoldenFrames } from '../dist/package/golden-test.js';
import { openPackageDirectory } from '../dist/package/package.js';
import { loadModel } from '../dist/runtime/load-model.js';
import { chooseCrops, chooseStills, fitStills } from './zoo/golden-frames.mjs';
import { readNetwork, sibling } from './zoo/network.mjs';
import { figuresOf, install, withMetrics, writeGolden, writeManifest, writePackage } from './zoo/package-folder.mjs';
import { crops, readJson, stills, vigieModels, zoo } from './zoo/places.mjs';

const HELP = `build-zoo.mjs [options]
  --detector FILE    FP32 .onnx of the person detector (default: the one in the zoo)
  --classifier FILE  FP32 .onnx of the person classifier (default: the one in the zoo; none: no classifier is built)
  --provenance FILE  how new networks were trained: {"detector": {key: text}, "classifier": {key: text}}
  --metrics FILE     figures of their training: {"detector": [{"dataset": text, figure: number}], "classifier": [...]}
  --threshold T      of the detector (default: the zoo's for the same network, else 0.4)
  --nms-iou T        of the detector (default: the zoo's for the same network, else 0.5)
  --detector-version V, --classifier-version V   of a new network in FP32 (2.0.0, 1.0.0); INT8 is the next minor
                     version, TensorFlow.js the one after it
  --out DIR          where the packages go (default: models/zoo)`;

const { values } = parseArgs({
  options: {
    detector: { type: 'string' },
    classifier: { type: 'string' },
    provenance: { type: 'string' },
    metrics: { type: 'string' },
    threshold: { type: 'string' },
    'nms-iou': { type: 'string' },
    'detector-version': { type: 'string', default: '2.0.0' },
    'classifier-version': { type: 'string', default: '1.0.0' },
    out: { type: 'string', default: zoo },
    help: { type: 'boolean', default: false },
  },
});

/** The stills are tamer than photographs: without it INT8 lost 0.003 to 0.004 of AP50 on version 1, with it nothing. */
const HEADROOM = '1.3';
const said = {
  provenance: values.provenance ? await readJson(values.provenance) : {},
  figures: values.metrics ? await readJson(values.metrics) : {},
};
const scratch = await mkdtemp(join(tmpdir(), 'vigie-zoo-build-'));

if (values.help) console.log(HELP);
else {
  try {
    await buildDetector();
    await buildClassifier();
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function buildDetector() {
  const network = await networkOf('detector');
  const { fp32, int8 } = await buildOnnx(network, {
    name: 'person-detector',
    task: 'detect',
    labels: ['person'],
    side: 320,
    decoder: { type: 'anchor-free', strides: [8, 16, 32], outputs: { logits: 'logits', distances: 'distances' } },
    threshold: Number(values.threshold ?? network.threshold ?? 0.4),
    nms: { iou: Number(values['nms-iou'] ?? network.nmsIou ?? 0.5), perClass: false, maxDetections: 100 },
    pictures: stills,
    choose: async (directories) => {
      const fitted = join(scratch, 'stills');
      await fitStills(stills, { width: 320, height: 320, resize: 'stretch' }, fitted);
      return (await chooseStills(directories, fitted)).map((file) => [join(fitted, file), file]);
    },
  });
  await installAll([fp32, int8, await convert(fp32, network)]);
}

async function buildClassifier() {
  if (values.classifier === undefined && !existsSync(join(zoo, 'person-classifier-fp32'))) return;
  const network = await networkOf('classifier');
  const pictures = (await readdir(crops, { recursive: true })).filter((file) => file.endsWith('.jpg')).sort();
  const { fp32, int8 } = await buildOnnx(network, {
    name: 'person-classifier',
    task: 'classify',
    labels: ['no-person', 'person'],
    side: 96,
    decoder: { type: 'classify', outputs: { logits: 'logits' }, activation: 'softmax', topK: 2 },
    threshold: 0.5,
    nms: { iou: 0.5, perClass: true, maxDetections: 2 },
    pictures: crops,
    choose: async (directories) =>
      (await chooseCrops(directories, crops, pictures)).map((file) => [join(crops, file), file.replace('/', '_')]),
  });
  await installAll([fp32, int8]);
}

function networkOf(kind) {
  return readNetwork({
    standing: join(zoo, `person-${kind}-fp32`),
    file: values[kind],
    version: values[`${kind}-version`],
    provenance: said.provenance[kind],
    figures: said.figures[kind],
  });
}

/** The FP32 package and the INT8 one, whole, in the scratch folder. */
async function buildOnnx(network, recipe) {
  const { name, task, labels, side, decoder, threshold, nms, pictures, choose } = recipe;
  const folders = { fp32: join(scratch, `${name}-fp32`), int8: join(scratch, `${name}-int8`) };
  const calibration = `models/media/${basename(pictures)}`;
  const quantized = {
    quantization:
      `vigie-models quantize models/zoo/${name}-fp32/model.onnx --calibration ${calibration} --method minmax ` +
      `--headroom ${HEADROOM} --out models/zoo/${name}-int8/model.onnx (of ${name} ${network.version}, model sha256 ${network.digest})`,
    calibration: `min-max over the pictures of ${calibration}; no other picture`,
  };
  const manifestOf = (precision) => ({
    name,
    version: sibling(network.version, precision === 'fp32' ? 0 : 1),
    task,
    labels: 'labels.txt',
    license: 'Apache-2.0',
    provenance: {
      ...network.provenance,
      goldenFrames: `made of ${calibration}, rendered by models/media/render_yard.py; no real person or place`,
      ...(precision === 'int8' ? quantized : {}),
    },
    model: { file: 'model.onnx', engine: 'onnx', precision },
    input: {
      ...{ name: 'image', width: side, height: side, layout: 'NCHW', color: 'RGB' },
      dtype: precision === 'int8' ? 'uint8' : 'float32',
      resize: 'stretch',
    },
    decoder,
    thresholds: { default: threshold },
    nms,
  });
  const writeAll = async (golden) => {
    const written = {};
    for (const [precision, directory] of Object.entries(folders)) {
      const manifest = manifestOf(precision);
      written[precision] = await writePackage(directory, {
        ...{ manifest, labels, golden, training: network.provenance },
        figures: await figuresOf(directory, precision === 'fp32' ? network.figures : []),
      });
    }
    return written;
  };

  for (const directory of Object.values(folders)) await mkdir(directory);
  const model = join(folders.fp32, 'model.onnx');
  await writeFile(model, network.bytes);
  const log = vigieModels(
    ...['quantize', model, '--calibration', calibration, '--method', 'minmax', '--headroom', HEADROOM],
    ...['--out', join(folders.int8, 'model.onnx')],
  );
  console.error(`${name}: ${log.trim().split('\n').at(-1)}`);
  // a package must have a golden frame; which ones these shall be, packages that run decide
  await writeAll([[join(stills, 'still_00.jpg'), 'draft.jpg']]);
  const manifests = await writeAll(await choose(Object.values(folders)));
  for (const [precision, directory] of Object.entries(folders)) await writeGolden(directory, manifests[precision]);
  return folders;
}

/** The TensorFlow.js package: half the size when its golden frames, which are those of FP32, allow it. */
async function convert(fp32, network) {
  for (const weights of ['float16', 'float32']) {
    const directory = join(scratch, `person-detector-tfjs-${weights}`, 'person-detector-tfjs');
    vigieModels('convert', join(fp32, 'model.onnx'), '--to', 'tfjs', '--weights', weights, '--out', directory);
    const manifest = parse(await readFile(join(directory, 'manifest.yaml'), 'utf8'));
    const { conversion, ...provenance } = manifest.provenance;
    const whole = withMetrics(
      {
        ...manifest,
        version: sibling(network.version, 2),
        provenance: { ...provenance, conversion: `${conversion}; golden frames are those of that version` },
      },
      await figuresOf(directory, [], manifest.model.file),
    );
    await writeManifest(directory, whole);
    const open = await openPackageDirectory(directory);
    const model = await loadModel(directory, open);
    const results = await runGoldenFrames(directory, open, model);
    await model.close();
    const failed = results.find(({ verdict }) => !verdict.ok);
    if (failed === undefined) return directory;
    console.error(`TensorFlow.js, ${weights} weights: ${failed.verdict.reason}`);
  }
  throw new Error('TensorFlow.js does not give what ONNX Runtime gives, not even with float32 weights');
}

async function installAll(directories) {
  for (const directory of directories) await install(directory, join(resolve(values.out), basename(directory)));
}
