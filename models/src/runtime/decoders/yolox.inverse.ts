import type { DecoderInput, OutputTensor } from '../decoder.js';
import type { ContentRectangle } from '../frame.js';
import { type SceneObject, tensor } from './scene.inverse.js';
import { toPixels, xywh } from './yolo.inverse.js';

/** An object in the cell that its centre lies in, on one of the feature maps. */
export type OnLevel = SceneObject & { level: number };

/** The cell of an object and its location among all of them: `meshgrid` of YOLOX's `decode_outputs`, map after map. */
export function yoloxCell(
  object: OnLevel,
  strides: readonly number[],
  frame: Pick<DecoderInput, 'width' | 'height'>,
  content: ContentRectangle,
): { column: number; row: number; location: number } {
  const stride = strides[object.level];
  const [x, y] = xywh(toPixels(object, frame, content));
  const [column, row] = [Math.floor(x / stride), Math.floor(y / stride)];
  let location = 0;
  for (const before of strides.slice(0, object.level)) location += (frame.width / before) * (frame.height / before);
  return { column, row, location: location + row * (frame.width / stride) + column };
}

/**
 * Objects → YOLOX's raw `[1, N, 5 + C]`, what `decode_outputs` (yolox/models/yolo_head.py) takes:
 * xy / stride - grid, log(wh / stride), objectness and classes after the sigmoid.
 */
export function yoloxPredictions(
  objects: readonly OnLevel[],
  strides: readonly number[],
  { labels, ...frame }: DecoderInput,
  content: ContentRectangle,
  split: number,
): OutputTensor {
  const locations = strides.reduce((sum, stride) => sum + (frame.width / stride) * (frame.height / stride), 0);
  const columns = 5 + labels.length;
  const predictions = tensor([1, locations, columns]);
  for (const object of objects) {
    const { column, row, location } = yoloxCell(object, strides, frame, content);
    const stride = strides[object.level];
    const [x, y, w, h] = xywh(toPixels(object, frame, content));
    const at = location * columns;
    predictions.data.set(
      [x / stride - column, y / stride - row, Math.log(w / stride), Math.log(h / stride), object.score ** split],
      at,
    );
    predictions.data[at + 5 + object.classId] = object.score ** (1 - split);
  }
  return predictions;
}
