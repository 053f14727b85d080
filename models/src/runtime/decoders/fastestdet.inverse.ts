import type { OutputTensor } from '../decoder.js';
import type { ContentRectangle } from '../frame.js';
import { type SceneObject, tensor, toFrame } from './scene.inverse.js';

/**
 * Objects → the map of FastestDet, `handle_preds` of its utils/tool.py read backwards: bcx = (tanh(tx) + gx) / W, bw =
 * sigmoid(tw), score = obj^0.6 · cls^0.4. `split` shares the score: cls = score^split for 0 ≤ split ≤ 1 gives an
 * objectness between 0 and 1 as well.
 */
export function fastestdetMap(
  objects: readonly SceneObject[],
  classes: number,
  rows: number,
  columns: number,
  content: ContentRectangle,
  split = 1,
): Record<string, OutputTensor> {
  const map = tensor([1, 5 + classes, rows, columns]);
  const cells = rows * columns;
  for (const { classId, score, box } of objects) {
    const [x1, y1, x2, y2] = toFrame(box, content);
    const column = Math.min(columns - 1, Math.floor(((x1 + x2) / 2) * columns));
    const row = Math.min(rows - 1, Math.floor(((y1 + y2) / 2) * rows));
    const put = (channel: number, value: number): void => {
      map.data[channel * cells + row * columns + column] = value;
    };
    const probability = score ** split;
    put(0, (score / probability ** 0.4) ** (1 / 0.6));
    put(1, Math.atanh(((x1 + x2) / 2) * columns - column));
    put(2, Math.atanh(((y1 + y2) / 2) * rows - row));
    put(3, -Math.log(1 / (x2 - x1) - 1));
    put(4, -Math.log(1 / (y2 - y1) - 1));
    for (let c = 0; c < classes; c++) put(5 + c, c === classId ? probability : (1 - probability) / classes / 2);
  }
  return { output: map };
}
