import type { OutputTensor } from '../decoder.js';
import type { ContentRectangle } from '../frame.js';
import { type SceneObject, tensor, toFrame } from './scene.inverse.js';

/**
 * Objects → what a TensorFlow detection model writes: `batch_multiclass_non_max_suppression` pads to `slots` rows with zeros
 * and counts the valid ones; `exporter_lib_v2` adds the label id offset 1. Boxes ymin, xmin, ymax, xmax, normalised.
 */
export function tensorflowDetections(
  objects: readonly SceneObject[],
  slots: number,
  content: ContentRectangle,
): Record<string, OutputTensor> {
  const boxes = tensor([1, slots, 4]);
  const classes = tensor([1, slots]);
  const scores = tensor([1, slots]);
  // Padded rows keep class 1 and, to prove that the count is heeded, a score.
  classes.data.fill(1);
  scores.data.fill(0.99);
  boxes.data.set(Array.from({ length: slots }, () => [0, 0, 1, 1]).flat());
  for (const [row, { classId, score, box }] of objects.entries()) {
    const [xmin, ymin, xmax, ymax] = toFrame(box, content);
    boxes.data.set([ymin, xmin, ymax, xmax], 4 * row);
    classes.data[row] = classId + 1;
    scores.data[row] = score;
  }
  return {
    detection_boxes: boxes,
    detection_classes: classes,
    detection_scores: scores,
    num_detections: tensor([1], [objects.length]),
  };
}

/**
 * Objects → what torchvision's `postprocess_detections` gives: boxes x1, y1, x2, y2 in pixels of the frame, labels from 1
 * (0 is the background), no batch, as many rows as there are objects.
 */
export function torchvisionDetections(
  objects: readonly SceneObject[],
  width: number,
  height: number,
  content: ContentRectangle,
): Record<string, OutputTensor> {
  const rows = objects.map(({ box }) => {
    const [x1, y1, x2, y2] = toFrame(box, content);
    return [x1 * width, y1 * height, x2 * width, y2 * height];
  });
  return {
    boxes: tensor([objects.length, 4], rows.flat()),
    labels: tensor(
      [objects.length],
      objects.map(({ classId }) => classId + 1),
    ),
    scores: tensor(
      [objects.length],
      objects.map(({ score }) => score),
    ),
  };
}
