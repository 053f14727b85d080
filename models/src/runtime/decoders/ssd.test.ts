import { describe, expect, it } from 'vitest';
import { WHOLE_FRAME } from '../frame.js';
import { difference, randomContent, randomScene, seeded, tensor } from './scene.inverse.js';
import { tensorflowDetections, torchvisionDetections } from './ssd.inverse.js';
import { makeSsdDecoder, type SsdDecoder } from './ssd.js';

const LABELS = ['person', 'bicycle', 'car', 'dog'];
const INPUT = { width: 320, height: 256, labels: LABELS, thresholds: LABELS.map(() => 0.2) };
const TENSORFLOW: SsdDecoder = {
  type: 'ssd',
  outputs: {
    boxes: 'detection_boxes',
    classes: 'detection_classes',
    scores: 'detection_scores',
    count: 'num_detections',
  },
  labelOffset: -1,
};
const TORCHVISION: SsdDecoder = {
  type: 'ssd',
  outputs: { boxes: 'boxes', classes: 'labels', scores: 'scores' },
  boxes: { order: 'xyxy', units: 'pixels' },
  labelOffset: -1,
};

describe('makeSsdDecoder', () => {
  it('gives back any objects as TensorFlow and torchvision write them', () => {
    const tensorflow = makeSsdDecoder(TENSORFLOW, INPUT);
    const torchvision = makeSsdDecoder(TORCHVISION, INPUT);
    for (let seed = 1; seed <= 100; seed++) {
      const next = seeded(seed);
      const content = randomContent(next);
      const objects = randomScene(next, Math.floor(12 * next()), LABELS.length);
      const fromTensorflow = tensorflow.decode(tensorflowDetections(objects, 100, content), content);
      expect(difference(fromTensorflow, objects)).toBeLessThan(1e-5);
      expect(fromTensorflow.map(({ label }) => label)).toEqual(fromTensorflow.map(({ classId }) => LABELS[classId]));
      const fromTorchvision = torchvision.decode(torchvisionDetections(objects, 320, 256, content), content);
      expect(difference(fromTorchvision, objects)).toBeLessThan(1e-5);
    }
    expect(tensorflow.suppress).toBe(false);
  });

  it('reads one row as written by hand, and no row beyond the count', () => {
    const outputs = {
      detection_boxes: tensor([1, 2, 4], [0.1, 0.2, 0.5, 0.6, 0, 0, 1, 1]),
      detection_classes: tensor([1, 2], [3, 1]),
      detection_scores: tensor([1, 2], [0.75, 0.5]),
      num_detections: tensor([1], [1]),
    };
    const [found, ...more] = makeSsdDecoder(TENSORFLOW, INPUT).decode(outputs, WHOLE_FRAME);
    expect(found).toMatchObject({ classId: 2, label: 'car', score: 0.75 });
    for (const [side, value] of [0.2, 0.1, 0.6, 0.5].entries()) expect(found.box[side]).toBeCloseTo(value, 6);
    expect(more).toEqual([]);
  });

  it('leaves out class ids without a label, weak scores, and rows that are no boxes', () => {
    const outputs = {
      detection_boxes: tensor(
        [1, 6, 4],
        [
          [0, 0, 1, 1],
          [0, 0, 1, 1],
          [0, 0, 1, 1],
          [0.5, 0.5, 0.5, 0.9],
          [1.1, 1.1, 1.5, 1.5],
          [0, Number.NaN, 1, 1],
        ].flat(),
      ),
      detection_classes: tensor([1, 6], [0, 5, 2, 1, 1, 1]),
      detection_scores: tensor([1, 6], [0.9, 0.9, 0.1, 0.9, 0.9, 0.9]),
      num_detections: tensor([1], [6]),
    };
    expect(makeSsdDecoder(TENSORFLOW, INPUT).decode(outputs, WHOLE_FRAME)).toEqual([]);
  });

  it('survives outputs of which nothing is a number, and a wrong count', () => {
    const decoder = makeSsdDecoder(TENSORFLOW, { ...INPUT, thresholds: [0, 0, 0, 0] });
    const nan = (dims: number[]) => tensor(dims, new Array(dims.reduce((a, b) => a * b)).fill(Number.NaN));
    for (const count of [Number.NaN, -3, 1e9, 0]) {
      const outputs = {
        detection_boxes: nan([1, 5, 4]),
        detection_classes: nan([1, 5]),
        detection_scores: nan([1, 5]),
        num_detections: tensor([1], [count]),
      };
      expect(decoder.decode(outputs, WHOLE_FRAME)).toEqual([]);
    }
  });
});
