import type { OutputTensor } from '../decoder.js';
import type { ContentRectangle } from '../frame.js';
import { type SceneObject, tensor, toFrame } from './scene.inverse.js';

/** `box_xyxy_to_cxcywh` of DETR's util/box_ops.py, on boxes normalised to the frame. */
function cxcywh([x1, y1, x2, y2]: readonly number[]): number[] {
  return [(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1];
}

/** Objects → `pred_logits` and `pred_boxes` of RT-DETR (focal loss): object n sits in query `queries[n]`, a logit per class. */
export function rtDetr(
  objects: readonly (SceneObject & { query: number })[],
  queries: number,
  classes: number,
  content: ContentRectangle,
): Record<string, OutputTensor> {
  const logits = tensor([1, queries, classes]);
  const boxes = tensor([1, queries, 4]);
  logits.data.fill(-9);
  boxes.data.fill(0.5);
  for (const { query, classId, score, box } of objects) {
    logits.data[query * classes + classId] = Math.log(score / (1 - score));
    boxes.data.set(cxcywh(toFrame(box, content)), 4 * query);
  }
  return { pred_logits: logits, pred_boxes: boxes };
}

/** Objects → the same of the first DETR: softmax over the classes and "no object", the last column. */
export function classicDetr(
  objects: readonly (SceneObject & { query: number })[],
  queries: number,
  classes: number,
  content: ContentRectangle,
): Record<string, OutputTensor> {
  const columns = classes + 1;
  const logits = tensor([1, queries, columns]);
  const boxes = tensor([1, queries, 4]);
  logits.data.fill(-40);
  boxes.data.fill(0.5);
  for (let query = 0; query < queries; query++) logits.data[query * columns + classes] = 5;
  for (const { query, classId, score, box } of objects) {
    logits.data[query * columns + classId] = 5 + Math.log(score / (1 - score));
    boxes.data.set(cxcywh(toFrame(box, content)), 4 * query);
  }
  return { pred_logits: logits, pred_boxes: boxes };
}
