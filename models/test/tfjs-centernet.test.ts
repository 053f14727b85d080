import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { sha256Hex } from '../src/package/digest.js';
import { openPackageDirectory } from '../src/package/package.js';
import { decodePlanes } from '../src/package/picture.js';
import { type Box, intersectionOverUnion } from '../src/runtime/detection.js';
import { loadModel } from '../src/runtime/load-model.js';
import { available, folderOf } from './package-fixture.js';

/** Somebody else's TensorFlow.js graph model, run by a manifest written from its documentation alone. */

const material = fileURLToPath(new URL('../../../shared/material', import.meta.url));
const at = (path: string): string => join(material, path);

const LABELS = `person bicycle car motorcycle airplane bus train truck boat traffic_light fire_hydrant stop_sign
parking_meter bench bird cat dog horse sheep cow elephant bear zebra giraffe backpack umbrella handbag tie suitcase frisbee
skis snowboard sports_ball kite baseball_bat baseball_glove skateboard surfboard tennis_racket bottle wine_glass cup fork
knife spoon bowl banana apple sandwich orange broccoli carrot hot_dog pizza donut cake chair couch potted_plant bed
dining_table toilet tv laptop mouse remote keyboard cell_phone microwave oven toaster sink refrigerator book clock vase
scissors teddy_bear hair_drier toothbrush`.split(/\s+/);

const manifest = (sha256: string): string => `name: centernet-coco
version: 1.0.0
task: detect
labels: labels.txt
license: MIT
model: { file: centernet.json, engine: tfjs, precision: fp16, sha256: ${sha256} }
input: { name: tower_0/images, width: 512, height: 512, layout: NHWC, color: RGB, dtype: float32, resize: stretch }
decoder: { type: end2end, outputs: { detections: tower_0/detections } }
thresholds: { default: 0.3 }
nms: { iou: 0.5, perClass: true, maxDetections: 100 }
golden:
  - { file: golden.jpg, detections: [], tolerance: { score: 0.1, iou: 0.5 } }
`;

/** What anyone sees in the pictures; boxes 0..1, by eye to a few hundredths. */
const SEEN: Readonly<Record<string, readonly (readonly [string, Box])[]>> = {
  'images/coco10/000000052891.jpg': [['dog', [0.24, 0.31, 0.8, 1]]],
  'images/coco10/000000334371.jpg': [['bus', [0.36, 0.44, 0.65, 0.7]]],
  'images/demo/darknet_dog.jpg': [['bicycle', [0.16, 0.23, 0.73, 0.74]]],
};

const here = available(at('models/tfjs_centernet_coco/centernet.json'));

describe.skipIf(!here)('CenterNet of TensorFlow.js', () => {
  it('finds what is to be seen', async () => {
    const bytes = await readFile(at('models/tfjs_centernet_coco/centernet.json'));
    const folder = await folderOf({
      'manifest.yaml': manifest(sha256Hex(bytes)),
      'centernet.json': bytes,
      'centernet.bin': await readFile(at('models/tfjs_centernet_coco/centernet.bin')),
      'labels.txt': `${LABELS.join('\n')}\n`,
      'golden.jpg': 'not looked at',
    });
    const model = await loadModel(folder, await openPackageDirectory(folder));
    try {
      for (const [picture, seen] of Object.entries(SEEN)) {
        const { detections } = await model.detect(await decodePlanes(await readFile(at(picture))));
        for (const [label, box] of seen) {
          const overlaps = detections
            .filter((one) => one.label === label)
            .map((one) => intersectionOverUnion(one.box, box));
          expect(Math.max(0, ...overlaps), `${label} in ${picture}`).toBeGreaterThan(0.6);
        }
      }
    } finally {
      await model.close();
    }
  });
});
