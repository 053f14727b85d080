import { Value } from '@sinclair/typebox/value';
import { describe, expect, it } from 'vitest';
import { DecoderSpec } from '../runtime/decoders/registry.js';
import { guessDecoders, pictureOf } from './guess.js';
import type { Dimension, ModelFacts } from './model-facts.js';

type Shapes = Record<string, Dimension[]>;

function facts(inputs: Shapes, outputs: Shapes, change: Partial<ModelFacts> = {}): ModelFacts {
  const tensors = (shapes: Shapes) => Object.entries(shapes).map(([name, dims]) => ({ name, dtype: 'float32', dims }));
  return {
    engine: 'onnx',
    inputs: tensors(inputs),
    outputs: tensors(outputs),
    opset: 13,
    producer: '',
    operators: {},
    parameters: 1,
    precision: 'fp32',
    quantized: null,
    macs: null,
    metadata: {},
    labels: null,
    ...change,
  };
}

const square = (size: number): Shapes => ({ images: [1, 3, size, size] });

/** Names and shapes as the projects export them: family, labels, what is fed, what comes out. */
const EXPORTS: [
  what: string,
  family: string,
  labels: number | null,
  inputs: Shapes,
  outputs: Shapes,
  change?: Partial<ModelFacts>,
][] = [
  ['YOLOv8n', 'yolov8', 80, square(640), { output0: [1, 84, 8400] }],
  ['YOLO11 at 320, one class', 'yolov8', 1, square(320), { output0: [1, 5, 2100] }],
  [
    'YOLOv8, any size',
    'yolov8',
    80,
    { images: ['batch', 3, 'height', 'width'] },
    { output0: ['batch', 84, 'anchors'] },
  ],
  ['YOLOv8-seg', 'yolov8', 80, square(640), { output0: [1, 116, 8400], output1: [1, 32, 160, 160] }],
  ['YOLOv5s', 'yolov5', 80, square(640), { output0: [1, 25200, 85] }],
  ['YOLOv5 at 320, two classes', 'yolov5', 2, square(320), { output: [1, 6300, 7] }],
  ['YOLOv10', 'end2end', null, square(640), { output0: [1, 300, 6] }],
  ['YOLOv7 end to end', 'end2end', null, square(640), { output: ['Concatoutput_dim_0', 7] }],
  ['YOLOX-Nano', 'yolox', 80, square(416), { output: [1, 3549, 85] }],
  ['YOLOX-S', 'yolox', 80, square(640), { output: [1, 8400, 85] }],
  ['YOLOX of 3 classes with labels', 'yolox', 3, square(416), { output: [1, 3549, 8] }, { labels: ['a', 'b', 'c'] }],
  ['YOLOv8, not transposed', 'yolov8', 80, square(640), { output: [1, 8400, 84] }],
  ['NanoDet-Plus-m 320', 'nanodet', 80, { data: [1, 3, 320, 320] }, { output: [1, 2125, 112] }],
  ['NanoDet-Plus-m 416', 'nanodet', 80, { data: [1, 3, 416, 416] }, { output: [1, 3598, 112] }],
  [
    'NanoDet-m, outputs named in another order',
    'nanodet',
    80,
    { image: [1, 3, 320, 320] },
    {
      cls_score0: [1600, 80],
      bbox_pred0: [400, 80],
      cls_score1: [100, 80],
      bbox_pred1: [1600, 32],
      cls_score2: [400, 32],
      bbox_pred2: [100, 32],
    },
  ],
  [
    'PicoDet',
    'picodet',
    80,
    { image: [1, 3, 416, 416] },
    {
      transpose_0: [1, 2704, 80],
      transpose_2: [1, 676, 80],
      transpose_4: [1, 169, 80],
      transpose_6: [1, 49, 80],
      transpose_1: [1, 2704, 32],
      transpose_3: [1, 676, 32],
      transpose_5: [1, 169, 32],
      transpose_7: [1, 49, 32],
    },
  ],
  ['FastestDet', 'fastestdet', 80, { 'input.1': [1, 3, 352, 352] }, { '758': [1, 85, 22, 22] }],
  ['RT-DETR', 'detr', 80, square(640), { pred_logits: [1, 300, 80], pred_boxes: [1, 300, 4] }],
  ['D-FINE', 'detr', 80, square(640), { logits: [1, 300, 80], boxes: [1, 300, 4] }],
  ['RF-DETR', 'detr', 91, { input: [1, 3, 560, 560] }, { dets: [1, 300, 4], labels: [1, 300, 91] }],
  [
    'DETR of transformers',
    'detr',
    91,
    { pixel_values: [1, 3, 800, 800] },
    { logits: [1, 100, 92], pred_boxes: [1, 100, 4] },
  ],
  [
    'RT-DETR with its post-processor',
    'ssd',
    null,
    { images: [1, 3, 640, 640], orig_target_sizes: [1, 2] },
    { labels: [1, 300], boxes: [1, 300, 4], scores: [1, 300] },
  ],
  [
    'TensorFlow SSD MobileNet V2',
    'ssd',
    null,
    { input_tensor: [1, null, null, 3] },
    {
      detection_anchor_indices: [1, 100],
      detection_boxes: [1, 100, 4],
      detection_classes: [1, 100],
      detection_multiclass_scores: [1, 100, 91],
      detection_scores: [1, 100],
      num_detections: [1],
      raw_detection_boxes: [1, 1917, 4],
      raw_detection_scores: [1, 1917, 91],
    },
  ],
  [
    'ONNX zoo SSD',
    'ssd',
    null,
    { image: [1, 3, 1200, 1200] },
    { bboxes: [1, 'nbox', 4], labels: [1, 'nbox'], scores: [1, 'nbox'] },
  ],
  ['torchvision SSDlite', 'ssd', null, { input: [1, 3, 320, 320] }, { boxes: ['n', 4], scores: ['n'], labels: ['n'] }],
  [
    'TensorFlow SSD before its post-processing',
    'ssd-raw',
    90,
    { input: [1, 3, 300, 300] },
    { raw_outputs_box_encodings: [1, 1917, 1, 4], raw_outputs_class_predictions: [1, 1917, 91] },
  ],
  ['UltraFace', 'ultraface', 1, { input: [1, 3, 240, 320] }, { scores: [1, 4420, 2], boxes: [1, 4420, 4] }],
  [
    'torchvision SSDlite before its post-processing',
    'ssd-raw',
    90,
    { images: [1, 3, 320, 320] },
    { bbox_regression: [1, 3234, 4], cls_logits: [1, 3234, 91] },
  ],
  [
    'YOLOv8-pose',
    'yolov8',
    1,
    square(320),
    { output0: [1, 56, 2100] },
    { metadata: { task: 'pose', stride: '32', kpt_shape: '[17, 3]' }, labels: ['person'] },
  ],
  ['YOLOv8-obb', 'yolov8', 80, square(320), { output0: [1, 85, 2100] }, { metadata: { task: 'obb', stride: '32' } }],
  ['YOLOv8 at 64, as many rows as columns', 'yolov8', 80, square(64), { output0: [1, 84, 84] }],
  [
    'RT-DETR of Ultralytics',
    'end2end',
    null,
    square(320),
    { output0: [null, null, 6] },
    { metadata: { task: 'detect', head: 'RTDETRDecoder' } },
  ],
  [
    'RT-DETR of Ultralytics, every class',
    'yolov8',
    80,
    square(640),
    { output0: [1, 300, 84] },
    { metadata: { task: 'detect', description: 'Ultralytics rtdetr-l model' } },
  ],
  ['YOLOv5-seg', 'yolov5', 80, square(640), { output0: [1, 25200, 117], output1: [1, 32, 160, 160] }],
  ['YOLO26-seg', 'end2end', null, square(640), { output0: [1, 300, 38], output1: [1, 32, 160, 160] }],
  [
    'D-FINE of transformers, queries not declared',
    'detr',
    80,
    { pixel_values: [1, 3, 320, 320] },
    { logits: [null, null, 80], pred_boxes: [null, null, 4] },
  ],
  ['YOLO-NAS', 'yolov8', 80, square(640), { boxes: [1, 8400, 4], scores: [1, 8400, 80] }],
  ['our own head', 'anchor-free', 1, { image: [1, 3, 320, 320] }, { logits: [1, 2100, 1], distances: [1, 2100, 4] }],
  ['a torchvision classifier', 'classify', 1000, { input: [1, 3, 224, 224] }, { output: [1, 1000] }],
  [
    'a TF-slim classifier with a background',
    'classify',
    1000,
    { input: [1, 224, 224, 3] },
    { 'MobilenetV2/Predictions': [1, 1001] },
  ],
  ['a head of convolutions', 'classify', 10, { data: [1, 3, 64, 64] }, { fc: [1, 10, 1, 1] }],
  ['person or not', 'classify', 2, { image: [1, 3, 96, 96] }, { logits: [1, 2] }],
  [
    'TensorFlow.js CenterNet',
    'end2end',
    null,
    { 'tower_0/images': [1, 512, 512, 3] },
    { 'tower_0/wh': [1, 128, 128, 4], 'tower_0/keypoints': [1, 128, 128, 80], 'tower_0/detections': [1, 100, 6] },
  ],
];

describe('guessDecoders', () => {
  for (const [what, family, labels, inputs, outputs, change] of EXPORTS) {
    it(`takes ${what} for ${family}`, () => {
      const guesses = guessDecoders(facts(inputs, outputs, change));
      const [best] = guesses;
      expect(best, JSON.stringify(guesses.map((guess) => [guess.family, guess.confidence]))).toMatchObject({
        family,
        labels,
      });
      expect(best.confidence).toBeGreaterThan(0.5);
      expect(best.confidence).toBeLessThan(1);
      for (const guess of guesses) {
        expect(guess.reason).not.toBe('');
        expect(guess.decoder.type).toBe(guess.family);
        const fault = Value.Errors(DecoderSpec, guess.decoder).First();
        expect(fault && `${fault.path} ${fault.message}`).toBeUndefined();
        const named = Object.values(guess.decoder.outputs).flat();
        for (const name of named) expect(Object.keys(outputs)).toContain(name);
      }
    });
  }

  it('pairs outputs of several maps by their shapes', () => {
    const [, , , inputs, outputs] = EXPORTS.find(([what]) => what.startsWith('NanoDet-m'))!;
    expect(guessDecoders(facts(inputs, outputs))[0].decoder).toMatchObject({
      strides: [8, 16, 32],
      outputs: {
        scores: ['cls_score0', 'bbox_pred0', 'cls_score1'],
        distributions: ['bbox_pred1', 'cls_score2', 'bbox_pred2'],
      },
    });
  });

  it('takes what a Softmax gives as probabilities, and shifts a background away', () => {
    const vector = facts({ input: [1, 3, 224, 224] }, { probabilities: [1, 1001] });
    vector.outputs[0].madeBy = 'Softmax';
    expect(guessDecoders(vector)[0].decoder).toMatchObject({ activation: 'none', labelOffset: -1 });
  });

  it('declares the values behind the classes of masks, key points and turned boxes, which are not read', () => {
    const best = (name: string) => {
      const [, , , inputs, outputs, change] = EXPORTS.find(([what]) => what === name)!;
      return guessDecoders(facts(inputs, outputs, change))[0].decoder;
    };
    expect(best('YOLOv8-seg')).toMatchObject({ extra: 32 });
    expect(best('YOLOv8-pose')).toMatchObject({ extra: 51 });
    expect(best('YOLOv8-obb')).toMatchObject({ extra: 1 });
    expect(best('YOLOv5-seg')).toMatchObject({ extra: 32 });
    expect(best('YOLO26-seg')).toMatchObject({
      columns: expect.objectContaining({ length: 38, 6: 'skip', 37: 'skip' }),
    });
    expect(best('YOLOv8n')).not.toHaveProperty('extra');
  });

  it('takes the boxes of an RT-DETR of Ultralytics for centres and sizes of a stretched picture', () => {
    const [, , , inputs, outputs, change] = EXPORTS.find(([what]) => what === 'RT-DETR of Ultralytics')!;
    const [best] = guessDecoders(facts(inputs, outputs, change));
    expect(best.decoder).toMatchObject({ units: 'normalized', columns: ['cx', 'cy', 'w', 'h', 'score', 'class'] });
    expect(best.input.resize).toBe('stretch');
  });

  it('takes the sigmoid for a single score: a softmax over it is always 1', () => {
    const [best] = guessDecoders(facts({ image: [1, 3, 96, 96] }, { logits: [1, 1] }));
    expect(best.decoder).toMatchObject({ type: 'classify', activation: 'sigmoid' });
  });

  it('tells a decoded YOLOX from a raw one by its exponentials', () => {
    const raw = facts(square(416), { output: [1, 3549, 85] });
    const decoded = facts(square(416), { output: [1, 3549, 85] }, { operators: { Exp: 1 } });
    expect(guessDecoders(raw)[0].decoder).not.toHaveProperty('decoded');
    expect(guessDecoders(decoded)[0].decoder).toMatchObject({ type: 'yolox', decoded: true });
  });

  it('admits that it knows none', () => {
    expect(guessDecoders(facts({ tokens: [1, 128] }, { hidden: [1, 128, 768] }))).toEqual([]);
    expect(guessDecoders(facts({}, {}))).toEqual([]);
  });
});

describe('pictureOf', () => {
  it('finds the picture and its layout among the inputs', () => {
    expect(pictureOf(facts({ scale: [1, 2], image: [1, 3, 320, 640] }, {}))).toMatchObject({
      layout: 'NCHW',
      width: 640,
      height: 320,
    });
    expect(pictureOf(facts({ image: [1, null, null, 3] }, {}))).toMatchObject({ layout: 'NHWC', width: null });
    expect(pictureOf(facts({ tokens: [1, 77] }, {}))).toBeNull();
  });
});
