import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { guessDecoders } from '../src/inspect/guess.js';
import { manifestSkeleton } from '../src/inspect/manifest-skeleton.js';
import { readModel } from '../src/inspect/read-model.js';
import { openPackageDirectory } from '../src/package/package.js';
import { decodePlanes } from '../src/package/picture.js';
import type { Detection } from '../src/runtime/detection.js';
import { loadOnnxDetector } from '../src/runtime/onnx-session.js';
import { available, folderOf } from './package-fixture.js';

const material = fileURLToPath(new URL('../../../shared/material', import.meta.url));
const at = (path: string): string => join(material, path);

const COMMON = `version: 1.0.0
labels: labels.txt
nms: { iou: 0.4, perClass: true, maxDetections: 100 }
golden:
  - { file: golden/a.jpg, detections: [], tolerance: { score: 0.05, iou: 0.8 } }
`;

/** A real package in a temporary folder around a model of the folder beside the repository. */
async function packageOf(model: string, labels: string, manifest: string): Promise<string> {
  const bytes = await readFile(at(`models/${model}`));
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  return folderOf({
    'manifest.yaml': `${COMMON}${manifest.replace('SHA256', sha256)}`,
    'model.onnx': bytes,
    'labels.txt': labels,
    'golden/a.jpg': 'not looked at',
  });
}

/** What a package finds in each of some pictures, best first, fitted as the manifest says. */
async function findIn(folder: string, pictures: readonly string[]): Promise<Map<string, Detection[]>> {
  const model = await loadOnnxDetector(folder, await openPackageDirectory(folder));
  const found = new Map<string, Detection[]>();
  try {
    for (const picture of pictures) {
      const planes = await decodePlanes(await readFile(at(picture)));
      found.set(basename(picture), (await model.detect(planes)).detections);
    }
  } finally {
    await model.close();
  }
  return found;
}

/** After the README of Ultra-Light-Fast-Generic-Face-Detector-1MB: RGB, (x − 127) / 128, 320 × 240, stretched. */
const ULTRAFACE = `name: ultraface-slim
task: detect
license: MIT
model: { file: model.onnx, engine: onnx, precision: fp32, sha256: SHA256 }
input:
  { name: input, width: 320, height: 240, layout: NCHW, color: RGB, dtype: float32, mean: [127, 127, 127], std: [128, 128, 128], resize: stretch }
decoder: { type: ultraface, outputs: { scores: scores, boxes: boxes } }
thresholds: { default: 0.7 }
`;

describe.skipIf(!available(at('models/ultraface_slim_320.onnx')))('UltraFace', () => {
  it('finds the face of the admiral and none on a sunflower', async () => {
    const folder = await packageOf('ultraface_slim_320.onnx', 'face\n', ULTRAFACE);
    const found = await findIn(folder, ['images/classify/grace_hopper.jpg', 'images/classify/sunflower.jpg']);
    expect(found.get('sunflower.jpg')).toEqual([]);
    const faces = found.get('grace_hopper.jpg')!;
    expect(faces.map(({ label }) => label)).toEqual(['face']);
    const [{ score, box }] = faces;
    expect(score).toBeGreaterThan(0.9);
    // Her face: its middle right of the centre and in the upper third, a fifth of the picture wide and more.
    expect((box[0] + box[2]) / 2).toBeGreaterThan(0.4);
    expect((box[0] + box[2]) / 2).toBeLessThan(0.7);
    expect((box[1] + box[3]) / 2).toBeLessThan(0.45);
    expect(box[2] - box[0]).toBeGreaterThan(0.15);
    expect(box[2] - box[0]).toBeLessThan(0.5);
  });
});

/** torchvision's documentation of mobilenet_v2: RGB, ImageNet mean and deviation; `labelOffset` for the file's background. */
const MOBILENET = `name: mobilenet-v2-int8
task: classify
license: BSD-3-Clause
model: { file: model.onnx, engine: onnx, precision: int8, sha256: SHA256 }
input:
  { name: image, width: 224, height: 224, layout: NCHW, color: RGB, dtype: float32, mean: [123.675, 116.28, 103.53], std: [58.395, 57.12, 57.375], resize: stretch }
decoder: { type: classify, outputs: { logits: class_logits }, activation: softmax, topK: 5, labelOffset: 1 }
thresholds: { default: 0 }
`;

/**
 * Words of which one must be in the best label, or among the best five. The eighth picture, an owl, is left out: on a processor
 * without VNNI the model's 8-bit sums saturate and it names grouse and prairie fowl, in Python's ONNX Runtime too.
 */
const PICTURES: Readonly<Record<string, RegExp>> = {
  'bird.jpg': /chickadee/,
  'cat.jpg': /\bcat\b/,
  'dragonfly.jpg': /dragonfly|damselfly/,
  'grace_hopper.jpg': /uniform|bolo tie|suit/,
  'hot_dog.jpg': /hotdog/,
  'parrot.jpg': /macaw/,
  'sunflower.jpg': /daisy/,
};

describe.skipIf(!available(at('models/mobilenet_v2_imagenet_int8_qdq.onnx')))('an INT8 MobileNet', () => {
  it('names what is in the pictures, with the published list of labels as it is', async () => {
    const labels = await readFile(at('models/imagenet_labels_1001.txt'), 'utf8');
    const folder = await packageOf('mobilenet_v2_imagenet_int8_qdq.onnx', labels, MOBILENET);
    const pictures = Object.keys(PICTURES);
    const found = await findIn(
      folder,
      pictures.map((name) => `images/classify/${name}`),
    );
    const first = pictures.filter((name) => PICTURES[name].test(found.get(name)![0].label));
    const five = pictures.filter((name) => found.get(name)!.some(({ label }) => PICTURES[name].test(label)));
    const told = JSON.stringify(
      [...found].map(([name, labelled]) => [name, labelled.map(({ label, score }) => `${label} ${score.toFixed(2)}`)]),
    );
    expect(five, told).toEqual(pictures);
    // Its last layer saturates: up to five classes tie for the first place, so that not every first one is the right one.
    expect(first, told).toEqual(expect.arrayContaining(['bird.jpg', 'cat.jpg', 'parrot.jpg', 'sunflower.jpg']));
    for (const labelled of found.values()) {
      expect(labelled).toHaveLength(5);
      expect(labelled.every(({ box, classId }) => box.join() === '0,0,1,1' && classId > 0)).toBe(true);
      expect(labelled.reduce((sum, { score }) => sum + score, 0)).toBeLessThanOrEqual(1.000001);
    }
  });

  it('refuses a list of labels that is one short', async () => {
    const labels = (await readFile(at('models/imagenet_labels_1001.txt'), 'utf8')).split('\n').slice(1).join('\n');
    const folder = await packageOf('mobilenet_v2_imagenet_int8_qdq.onnx', labels, MOBILENET);
    const open = await openPackageDirectory(folder);
    await expect(loadOnnxDetector(folder, open)).rejects.toMatchObject({ code: 'MODEL_OUTPUT_MISMATCH' });
  });
});

/** Model, how many labels it has, the id and name of one of them, and a picture that shows it. */
const INSPECTED: [model: string, labels: number, id: number, name: string, picture: string][] = [
  ['yolox_nano_416_coco.onnx', 80, 16, 'dog', 'images/demo/darknet_dog.jpg'],
  ['nanodet_m_320_coco.onnx', 80, 5, 'bus', 'images/demo/ultralytics_bus.jpg'],
  ['ultraface_slim_320.onnx', 1, 0, 'face', 'images/classify/grace_hopper.jpg'],
];

describe.skipIf(!available(at('images/demo/darknet_dog.jpg')))('the manifest that inspect writes', () => {
  for (const [model, count, id, name, picture] of INSPECTED) {
    it.skipIf(!existsSync(at(`models/${model}`)))(`makes ${model} find the ${name}, as it stands`, async () => {
      const inspected = await readModel(at(`models/${model}`));
      const text = manifestSkeleton({ ...inspected, guess: guessDecoders(inspected.facts)[0] });
      const labels = Array.from({ length: count }, (_, index) => (index === id ? name : `class ${index}`));
      const folder = await folderOf({
        'manifest.yaml': `${text.replace('# license:', 'license:')}golden:\n  - { file: a.jpg, detections: [], tolerance: { score: 0.1, iou: 0.5 } }\n`,
        [model]: await readFile(at(`models/${model}`)),
        'labels.txt': labels.join('\n'),
        'a.jpg': 'not looked at',
      });
      const found = (await findIn(folder, [picture])).get(basename(picture))!;
      expect(found.map(({ label }) => label)).toContain(name);
    });
  }
});
