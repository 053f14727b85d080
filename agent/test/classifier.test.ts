import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AttributeType, DataType, encodeModel } from '@vigie/models/quantize/onnx-proto';
import { floatTensor } from '@vigie/models/quantize/tensor-data';
import { afterAll, describe, expect, it } from 'vitest';
import { InferenceChildFactory } from '../src/io/inference-child.js';
import { drawAnnotation } from '../src/vision/overlay.js';
import { Scene } from '../src/vision/scene.js';

const ENTRY = fileURLToPath(new URL('../dist/io/inference-main.js', import.meta.url));
const SIZE = 16;
const scratch = mkdtempSync(join(tmpdir(), 'vigie-classifier-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** A classifier of two labels: the mean of the picture's channels, then logits 0.1 · (brightness − 128) and its negative. */
function classifierPackage(): string {
  const model = encodeModel({
    irVersion: 7,
    opsetImport: [{ version: 13 }],
    graph: {
      name: 'light',
      node: [
        { opType: 'GlobalAveragePool', input: ['image'], output: ['mean'] },
        {
          opType: 'Conv',
          input: ['mean', 'w', 'b'],
          output: ['logits'],
          attribute: [{ name: 'kernel_shape', type: AttributeType.ints, ints: [1, 1] }],
        },
      ],
      initializer: [
        floatTensor(
          'w',
          [2, 3, 1, 1],
          [0.1, 0.1, 0.1, -0.1, -0.1, -0.1].map((value) => value / 3),
        ),
        floatTensor('b', [2], [-12.8, 12.8]),
      ],
      input: [
        {
          name: 'image',
          type: {
            tensorType: {
              elemType: DataType.float,
              shape: { dim: [1, 3, SIZE, SIZE].map((dimValue) => ({ dimValue })) },
            },
          },
        },
      ],
      output: [{ name: 'logits', type: { tensorType: { elemType: DataType.float } } }],
      valueInfo: [],
    },
    metadataProps: [],
  });
  const sha256 = createHash('sha256').update(model).digest('hex');
  mkdirSync(join(scratch, 'golden'));
  writeFileSync(join(scratch, 'model.onnx'), model);
  writeFileSync(join(scratch, 'labels.txt'), 'day\nnight\n');
  writeFileSync(join(scratch, 'golden/a.jpg'), 'not looked at');
  writeFileSync(
    join(scratch, 'manifest.yaml'),
    `name: day-or-night
version: 1.0.0
task: classify
labels: labels.txt
license: Apache-2.0
model: { file: model.onnx, engine: onnx, precision: fp32, sha256: ${sha256} }
input: { name: image, width: ${SIZE}, height: ${SIZE}, layout: NCHW, color: RGB, dtype: float32, resize: stretch }
decoder: { type: classify, outputs: { logits: logits } }
thresholds: { default: 0.6 }
nms: { iou: 0.5, perClass: true, maxDetections: 10 }
golden: [{ file: golden/a.jpg, detections: [], tolerance: { score: 0.1, iou: 0.5 } }]
`,
  );
  return scratch;
}

const light = (brightness: number) => new Uint8Array(3 * SIZE * SIZE).fill(brightness);

describe('a classifier on the board', () => {
  it('makes an event of each label that stays, and of none that is too weak', async () => {
    const factory = new InferenceChildFactory({
      threads: 1,
      frameTimeoutMs: 10_000,
      loadTimeoutMs: 30_000,
      floorRatio: 0.7,
      log: { debug() {}, warn() {} },
      entry: ENTRY,
    });
    const detector = await factory.spawn(classifierPackage(), 'background');
    try {
      expect(detector.labels).toEqual(['day', 'night']);
      let id = 0;
      const scene = new Scene(0.6, () => `e${++id}`);
      const story: string[] = [];
      // Ten frames a second: night, dusk (0.5 for both), a day that is sure by no more than the threshold asks.
      const lights = [...Array(20).fill(60), ...Array(20).fill(128), ...Array(20).fill(133)];
      let shown: string[] = [];
      for (const [sequence, brightness] of lights.entries()) {
        const { detections } = await detector.detect(light(brightness), SIZE, SIZE);
        const atMs = 100 * sequence;
        const stagesMs = { capture: 0, preprocess: 0, inference: 0, decode: 0 };
        const result = { sequence, capturedAt: atMs, doneAt: atMs, digest: detector.digest, detections, stagesMs };
        const { tracks, drafts } = scene.see(result, { sceneMs: atMs, wallMs: atMs, width: 640, height: 360 });
        for (const { type, label, box } of drafts) {
          if (type !== 'update') story.push(`${type} ${label}`);
          expect(box).toEqual([0, 0, 1, 1]);
        }
        shown = tracks.map(({ label }) => label);
      }
      expect(story).toEqual(['start night', 'end night', 'start day']);
      expect(shown).toEqual(['day']);
    } finally {
      await detector.close();
    }
  });

  it('lists its labels at the top left of the picture, without a frame around it', () => {
    const raster = { data: new Uint8Array(3 * 320 * 180).fill(100), width: 320, height: 180 };
    const whole = [0, 0, 1, 1] as const;
    drawAnnotation(raster, {
      sequence: 1,
      capturedAtMs: 0,
      digest: null,
      status: '',
      tracks: [
        { id: 1, label: 'day', score: 0.9, box: whole },
        { id: 2, label: 'rain', score: 0.7, box: whole },
      ],
    });
    const touched = (x: number, y: number) => raster.data[3 * (y * 320 + x)] !== 100;
    const rows = Array.from({ length: 180 }, (_, y) => Array.from({ length: 320 }, (_, x) => touched(x, y)));
    // Two tags of 11 rows, one below the other; the rest of the border is as it was.
    expect(rows.filter((row) => row[0])).toHaveLength(22);
    expect(rows.findIndex((row) => !row.includes(true))).toBe(22);
    expect(rows.slice(22).flat()).not.toContain(true);
    expect(rows[0][319]).toBe(false);
  });
});
