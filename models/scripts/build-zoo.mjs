#!/usr/bin/env node
// Builds the packages of models/zoo from the one FP32 model in the tree: quantizes it, writes labels, licence, golden
// frames and manifests. Needs `npx tsc -b models`. The same tree gives the same bytes. Figures come from measured.json
// (models/scripts/measure-zoo.mjs) and are left out for a model they were not measured on.
import { createHash } from 'node:crypto';
import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { openPackageDirectory } from '../dist/package/package.js';
import { decodePicture } from '../dist/package/picture.js';
import { inputTensors, listPictures } from '../dist/quantize/calibration-pictures.js';
import { quantizeOnnx } from '../dist/quantize/quantize-onnx.js';
import { loadOnnxDetector } from '../dist/runtime/onnx-session.js';

const models = fileURLToPath(new URL('..', import.meta.url));
const zoo = join(models, 'zoo');
const stills = join(models, 'media', 'stills');
const fp32Directory = join(zoo, 'person-detector-fp32');
const int8Directory = join(zoo, 'person-detector-int8');

// Chosen so that no detection lies near the threshold: by day, at dusk, and an empty night under infra-red.
const GOLDEN_STILLS = ['still_04.jpg', 'still_02.jpg', 'still_23.jpg'];
const TOLERANCE = { score: 0.08, iou: 0.75 };
const MARGIN = 0.05;
// Photographs drive activations up to twice as far as the rendered stills do. Measured against calibration on 200
// photographs (Human Dataset v2): AP50 is that of FP32 with this factor, and 0.003 to 0.004 lower without.
const HEADROOM = 1.3;

const INPUT = {
  name: 'image',
  width: 320,
  height: 320,
  layout: 'NCHW',
  color: 'RGB',
  dtype: 'float32',
  resize: 'stretch',
};
const TRAINING = {
  training: 'trained from scratch, no pretrained weights; recipe, figures and weaknesses: models/training/README.md',
  trainingData:
    'Human Dataset v2 (v6), provided by a Roboflow user, CC BY 4.0, ' +
    'https://universe.roboflow.com/human-v2/human-dataset-v2/dataset/6, 9989 pictures; ' +
    'person-free animal pictures (Animal-Pose, no licence stated), 900 pictures',
  goldenFrames: 'stills rendered by models/media/render_yard.py; no real person or place',
};

const fp32Bytes = await readFile(join(fp32Directory, 'model.onnx'));
await writePackage(fp32Directory, {
  version: '1.0.0',
  precision: 'fp32',
  bytes: fp32Bytes,
  input: INPUT,
  provenance: TRAINING,
});

const { bytes: int8Bytes, report } = await quantizeOnnx(fp32Bytes, inputTensors(await listPictures(stills), INPUT), {
  target: 'portable',
  scaling: { mean: [0, 0, 0], std: [1, 1, 1] },
  headroom: HEADROOM,
});
console.error(
  `quantized: ${report.bytesBefore} -> ${report.bytesAfter} bytes, ${report.convolutions} convolutions in INT8, ` +
    `${report.floatConvolutions.length} in float`,
);
await writePackage(int8Directory, {
  version: '1.1.0',
  precision: 'int8',
  bytes: int8Bytes,
  input: { ...INPUT, dtype: 'uint8' },
  provenance: {
    ...TRAINING,
    quantization: `vigie-models quantize --target ${report.target} --headroom ${HEADROOM} of person-detector 1.0.0 (model sha256 ${sha256(fp32Bytes)})`,
    calibration: `min-max over the ${report.pictures} stills of models/media/stills; no other picture`,
  },
});

async function writePackage(directory, { version, precision, bytes, input, provenance }) {
  await rm(join(directory, 'golden'), { recursive: true, force: true });
  await mkdir(join(directory, 'golden'), { recursive: true });
  await writeFile(join(directory, 'model.onnx'), bytes);
  await writeFile(join(directory, 'labels.txt'), 'person\n');
  await writeFile(join(directory, 'LICENSE.txt'), await licenceText());
  for (const file of GOLDEN_STILLS) await copyFile(join(stills, file), join(directory, 'golden', file));
  const metrics = await measuredFigures(sha256(bytes));
  const manifest = {
    name: 'person-detector',
    version,
    task: 'detect',
    labels: 'labels.txt',
    license: 'Apache-2.0',
    provenance,
    model: { file: 'model.onnx', engine: 'onnx', precision, sha256: sha256(bytes) },
    input,
    decoder: { type: 'anchor-free', strides: [8, 16, 32], outputs: { logits: 'logits', distances: 'distances' } },
    thresholds: { default: 0.4 },
    nms: { iou: 0.6, perClass: false, maxDetections: 100 },
    ...(metrics.length > 0 ? { metrics } : {}),
    golden: GOLDEN_STILLS.map((file) => ({ file: `golden/${file}`, detections: [], tolerance: TOLERANCE })),
  };
  // the expected detections are what this very package finds
  await writeManifest(directory, manifest);
  manifest.golden = await expectedDetections(directory, manifest);
  await writeManifest(directory, manifest);
  const open = await openPackageDirectory(directory);
  console.error(
    `${directory}: ${open.manifest.name} ${version} ${precision}, ${metrics.length} figures, digest ${open.digest}`,
  );
}

async function writeManifest(directory, manifest) {
  await writeFile(
    join(directory, 'manifest.yaml'),
    stringify(manifest, { lineWidth: 120, aliasDuplicateObjects: false }),
  );
}

async function expectedDetections(directory, manifest) {
  const threshold = manifest.thresholds.default;
  const model = await loadOnnxDetector(directory, await openPackageDirectory(directory), {
    threshold: threshold - MARGIN,
  });
  const golden = [];
  for (const frame of manifest.golden) {
    const picture = await decodePicture(await readFile(join(directory, frame.file)), manifest.input);
    const { detections } = await model.detect(picture.frame, picture.content);
    const near = detections.find(({ score }) => Math.abs(score - threshold) < MARGIN);
    if (near)
      throw new Error(
        `${frame.file}: score ${near.score} lies within ${MARGIN} of the threshold; choose another still`,
      );
    golden.push({
      ...frame,
      detections: detections.map(({ label, score, box }) => ({ label, score: round(score), box: box.map(round) })),
    });
  }
  await model.close();
  return golden;
}

async function measuredFigures(digest) {
  const text = await readFile(join(zoo, 'measured.json'), 'utf8').catch(() => '{}');
  const found = JSON.parse(text)[digest];
  if (!found)
    console.error(`no figures for model ${digest.slice(0, 12)}: run models/scripts/measure-zoo.mjs, then this again`);
  return found ?? [];
}

async function licenceText() {
  const apache = await readFile(join(models, '..', 'LICENSE'), 'utf8');
  return `person-detector: weights, labels, manifest and golden frames are licensed under the Apache License 2.0, below.

The weights were trained from scratch on these pictures, none of which is contained here:

* Human Dataset v2, version 6, "provided by a Roboflow user", licensed CC BY 4.0
  (https://creativecommons.org/licenses/by/4.0/),
  https://universe.roboflow.com/human-v2/human-dataset-v2/dataset/6
  Changes: near-duplicates and synthetic pictures left out, polygons turned into boxes, both classes read as "person".
* 900 person-free animal pictures of Animal-Pose (PASCAL VOC 2012 and web pictures; no licence stated), as negatives.

The golden frames and the calibration pictures were rendered by models/media/render_yard.py.

--------------------------------------------------------------------------------

${apache}`;
}

function sha256(bytes) {
  return createHash('sha256').update(bytes).digest('hex');
}

function round(value) {
  return Math.round(value * 1e4) / 1e4;
}
