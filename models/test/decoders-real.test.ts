import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { openPackageDirectory } from '../src/package/package.js';
import { decodePlanes } from '../src/package/picture.js';
import { type Box, type Detection, intersectionOverUnion } from '../src/runtime/detection.js';
import { loadOnnxDetector } from '../src/runtime/onnx-session.js';
import { available, folderOf } from './package-fixture.js';

/** Models of other people, run by manifests written from their documentation, on pictures that were looked at. */

const material = fileURLToPath(new URL('../../../shared/material', import.meta.url));
const at = (path: string): string => join(material, path);

const COCO_LABELS = `person bicycle car motorcycle airplane bus train truck boat traffic_light fire_hydrant stop_sign
parking_meter bench bird cat dog horse sheep cow elephant bear zebra giraffe backpack umbrella handbag tie suitcase frisbee
skis snowboard sports_ball kite baseball_bat baseball_glove skateboard surfboard tennis_racket bottle wine_glass cup fork
knife spoon bowl banana apple sandwich orange broccoli carrot hot_dog pizza donut cake chair couch potted_plant bed
dining_table toilet tv laptop mouse remote keyboard cell_phone microwave oven toaster sink refrigerator book clock vase
scissors teddy_bear hair_drier toothbrush`
  .split(/\s+/)
  .map((label) => label.replace('_', ' '))
  .join('\n');

/** What anyone sees in the pictures; boxes 0..1, by eye to a few hundredths. */
const SEEN: Readonly<Record<string, readonly (readonly [string, Box])[]>> = {
  'coco10/000000052891.jpg': [
    ['dog', [0.24, 0.31, 0.8, 1]],
    ['frisbee', [0.03, 0.67, 0.48, 1]],
  ],
  'coco10/000000098261.jpg': [
    ['bird', [0.08, 0.13, 0.67, 0.7]],
    ['bird', [0.62, 0.31, 1, 0.98]],
  ],
  'coco10/000000215245.jpg': [
    ['zebra', [0.02, 0.56, 0.31, 0.87]],
    ['zebra', [0.25, 0.56, 0.5, 0.88]],
  ],
  'coco10/000000288685.jpg': [
    ['sheep', [0.24, 0.54, 0.5, 0.85]],
    ['person', [0.13, 0.18, 0.27, 0.57]],
  ],
  'coco10/000000334371.jpg': [
    ['bus', [0.36, 0.44, 0.65, 0.7]],
    ['person', [0.27, 0.54, 0.31, 0.7]],
  ],
  'coco10/000000373353.jpg': [
    ['bus', [0.42, 0.5, 0.57, 0.8]],
    ['car', [0, 0.69, 0.15, 0.9]],
  ],
  'coco10/000000414673.jpg': [
    ['person', [0.33, 0.38, 0.53, 0.76]],
    ['person', [0.58, 0.18, 0.69, 0.56]],
  ],
  'coco10/000000465822.jpg': [['laptop', [0.48, 0.68, 0.75, 0.95]]],
  'coco10/000000559707.jpg': [
    ['broccoli', [0.17, 0.62, 0.61, 0.94]],
    ['broccoli', [0.31, 0.1, 0.71, 0.36]],
  ],
  'demo/darknet_dog.jpg': [
    ['bicycle', [0.16, 0.23, 0.73, 0.74]],
    ['dog', [0.17, 0.38, 0.41, 0.93]],
  ],
  'demo/darknet_person.jpg': [
    ['person', [0.3, 0.23, 0.42, 0.88]],
    ['horse', [0.64, 0.33, 0.94, 0.82]],
    ['dog', [0.1, 0.62, 0.31, 0.82]],
  ],
  'demo/ultralytics_bus.jpg': [['bus', [0.02, 0.21, 0.99, 0.67]]],
};

/** Megvii-BaseDetection/YOLOX, demo/ONNXRuntime/README.md and yolox/data/data_augment.py (`preproc`). */
const YOLOX = `name: yolox-nano
license: Apache-2.0
input:
  { name: images, width: 416, height: 416, layout: NCHW, color: BGR, dtype: float32, resize: letterbox, anchor: top-left, pad: 114 }
decoder: { type: yolox, strides: [8, 16, 32], outputs: { predictions: output } }
nms: { iou: 0.45, perClass: true, maxDetections: 100 }
`;

/**
 * RangiLyu/nanodet, config/nanodet-m.yml (mean, std, keep_ratio: false, reg_max 7, strides 8, 16, 32). This file names its
 * outputs in another order than it gives them; the shapes say which is which.
 */
const NANODET = `name: nanodet-m
license: Apache-2.0
input:
  { name: image, width: 320, height: 320, layout: NCHW, color: BGR, dtype: float32, mean: [103.53, 116.28, 123.675],
    std: [57.375, 57.12, 58.395], resize: stretch }
decoder:
  type: nanodet
  strides: [8, 16, 32]
  outputs: { scores: [cls_score0, bbox_pred0, cls_score1], distributions: [bbox_pred1, cls_score2, bbox_pred2] }
nms: { iou: 0.6, perClass: true, maxDetections: 100 }
`;

async function packageOf(file: string, manifest: string): Promise<string> {
  const model = await readFile(at(file));
  return folderOf({
    'manifest.yaml': `version: 1.0.0
task: detect
labels: labels.txt
model: { file: model.onnx, engine: onnx, precision: fp32, sha256: ${createHash('sha256').update(model).digest('hex')} }
thresholds: { default: 0.4 }
golden:
  - { file: golden/a.jpg, detections: [], tolerance: { score: 0.05, iou: 0.8 } }
${manifest}`,
    'model.onnx': model,
    'labels.txt': COCO_LABELS,
    'golden/a.jpg': 'not looked at',
  });
}

describe.skipIf(!available(at('models/yolox_nano_416_coco.onnx'), at('images/coco10')))(
  'models of other families',
  () => {
    it.each<[string, string, string, number, string[]]>([
      ['YOLOX-Nano 416', 'models/yolox_nano_416_coco.onnx', YOLOX, 0.7, []],
      ['NanoDet-m 320', 'models/nanodet_m_320_coco.onnx', NANODET, 0.5, ['demo/darknet_dog.jpg: dog']],
    ])('%s finds what is in the pictures', async (_name, file, manifest, iou, weak) => {
      const folder = await packageOf(file, manifest);
      const model = await loadOnnxDetector(folder, await openPackageDirectory(folder));
      const missed: string[] = [];
      for (const [picture, objects] of Object.entries(SEEN)) {
        const { detections } = await model.detect(await decodePlanes(await readFile(at(`images/${picture}`))));
        // The best is right, and each object is found by a box of its own.
        expect(objects.map(([label]) => label)).toContain(detections[0]?.label);
        const free = new Set<Detection>(detections);
        for (const [label, box] of objects) {
          const hit = [...free].find((one) => one.label === label && intersectionOverUnion(one.box, box) >= iou);
          if (hit === undefined) missed.push(`${picture}: ${label}`);
          else free.delete(hit);
        }
      }
      await model.close();
      // The small network gives this dog less than the threshold.
      expect(missed).toEqual(weak);
    });

    it('refuses a manifest that mixes the outputs up, and says which', async () => {
      const folder = await packageOf(
        'models/nanodet_m_320_coco.onnx',
        NANODET.replace('cls_score0, bbox_pred0, cls_score1', 'cls_score0, cls_score1, bbox_pred0'),
      );
      await expect(loadOnnxDetector(folder, await openPackageDirectory(folder))).rejects.toMatchObject({
        code: 'MODEL_OUTPUT_MISMATCH',
        message: expect.stringMatching(
          /decoder\.outputs\.scores\[1\]: expected cls_score1 \[1, 400, 80\] or \[400, 80\] .* cls_score1 float32 \[100, 80\]/,
        ),
      });
    });
  },
);
