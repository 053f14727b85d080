import type { OutputTensor } from '../decoder.js';
import type { ContentRectangle } from '../frame.js';
import { type SceneObject, tensor, toFrame } from './scene.inverse.js';

/** Objects → the outputs of UltraFace in its test mode: softmaxed [background, face …] and corner-form boxes; object n in row n · 3. */
export function ultraface(
  objects: readonly SceneObject[],
  classes: number,
  content: ContentRectangle,
): Record<string, OutputTensor> {
  const rows = 3 * objects.length + 2;
  const scores = tensor([1, rows, classes + 1]);
  const boxes = tensor([1, rows, 4]);
  for (let row = 0; row < rows; row++) scores.data[row * (classes + 1)] = 1;
  for (const [index, { classId, score, box }] of objects.entries()) {
    const row = 3 * index;
    scores.data[row * (classes + 1)] = 1 - score;
    scores.data[row * (classes + 1) + 1 + classId] = score;
    boxes.data.set(toFrame(box, content), 4 * row);
  }
  return { scores, boxes };
}
