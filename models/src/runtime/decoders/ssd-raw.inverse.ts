import type { OutputTensor } from '../decoder.js';
import type { ContentRectangle } from '../frame.js';
import { type SceneObject, tensor, toFrame } from './scene.inverse.js';

export interface AnchoredObject extends SceneObject {
  /** Row of the anchor that carries it. */
  anchor: number;
}

/** Centre y, centre x, height, width of an anchor or a box. */
type Centred = readonly [number, number, number, number];

function centred([x1, y1, x2, y2]: readonly number[]): Centred {
  return [(y1 + y2) / 2, (x1 + x2) / 2, y2 - y1, x2 - x1];
}

/**
 * `FasterRcnnBoxCoder._encode` of the TensorFlow Object Detection API with scale factors 10, 10, 5, 5 (ty, tx, th, tw), and
 * `class_predictions_with_background` before the sigmoid, background in column 0.
 */
export function tensorflowRaw(
  objects: readonly AnchoredObject[],
  anchors: readonly Centred[],
  classes: number,
  content: ContentRectangle,
): Record<string, OutputTensor> {
  const boxes = tensor([1, anchors.length, 1, 4]);
  const scores = tensor([1, anchors.length, classes + 1]);
  scores.data.fill(-12);
  for (const { anchor, classId, score, box } of objects) {
    const [ya, xa, ha, wa] = anchors[anchor];
    const [y, x, h, w] = centred(toFrame(box, content));
    boxes.data.set(
      [((y - ya) / ha) * 10, ((x - xa) / wa) * 10, Math.log(h / ha) * 5, Math.log(w / wa) * 5],
      4 * anchor,
    );
    scores.data[anchor * (classes + 1) + 1 + classId] = Math.log(score / (1 - score));
  }
  return { boxes, scores };
}

/**
 * amdegroot/ssd.pytorch, `encode`: g_cxcy = (centre − prior) / (variance 0.1 · prior size), g_wh = log(size / prior size) /
 * variance 0.2, order x, y, w, h; class scores before the softmax, background in column 0.
 */
export function pytorchRaw(
  objects: readonly AnchoredObject[],
  priors: readonly Centred[],
  classes: number,
  content: ContentRectangle,
): Record<string, OutputTensor> {
  const boxes = tensor([1, priors.length, 4]);
  const scores = tensor([1, priors.length, classes + 1]);
  scores.data.fill(-30);
  for (let anchor = 0; anchor < priors.length; anchor++) scores.data[anchor * (classes + 1)] = 7;
  for (const { anchor, classId, score, box } of objects) {
    const [ya, xa, ha, wa] = priors[anchor];
    const [y, x, h, w] = centred(toFrame(box, content));
    boxes.data.set(
      [(x - xa) / (0.1 * wa), (y - ya) / (0.1 * ha), Math.log(w / wa) / 0.2, Math.log(h / ha) / 0.2],
      4 * anchor,
    );
    // Two classes share the probability: softmax([0, ln(s / (1 - s))]).
    scores.data[anchor * (classes + 1)] = 0;
    scores.data[anchor * (classes + 1) + 1 + classId] = Math.log(score / (1 - score));
  }
  return { boxes, scores };
}
