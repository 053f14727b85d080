import type { DecoderInput, OutputTensor } from '../decoder.js';
import type { ContentRectangle } from '../frame.js';
import { type SceneObject, tensor, toFrame } from './scene.inverse.js';

/** An object at a location (row or column) of the head. */
export type Placed = SceneObject & { location: number };

/** `xyxy2xywh` of Ultralytics' utils/ops.py. */
export function xywh([x1, y1, x2, y2]: readonly number[]): [number, number, number, number] {
  return [(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1];
}

/** Pixels of the model's frame. */
export function toPixels(
  object: SceneObject,
  { width, height }: Pick<DecoderInput, 'width' | 'height'>,
  content: ContentRectangle,
): [number, number, number, number] {
  const [x1, y1, x2, y2] = toFrame(object.box, content);
  return [x1 * width, y1 * height, x2 * width, y2 * height];
}

/**
 * Objects → YOLOv5's `[1, N, 5 + C]` (models/yolo.py: `torch.cat((xy, wh, conf), 4)` after the sigmoid): the score is split into
 * objectness and class by `split`, 0..1 of its logarithm. The other classes get less than the object's own.
 */
export function yolov5Predictions(
  objects: readonly Placed[],
  locations: number,
  { labels, ...frame }: DecoderInput,
  content: ContentRectangle,
  split: number,
): OutputTensor {
  const columns = 5 + labels.length;
  const predictions = tensor([1, locations, columns]);
  for (let location = 0; location < locations; location++)
    predictions.data.fill(0.5, location * columns, location * columns + 4);
  for (const object of objects) {
    const row = object.location * columns;
    const [objectness, own] = [object.score ** split, object.score ** (1 - split)];
    predictions.data.set([...xywh(toPixels(object, frame, content)), objectness], row);
    predictions.data.fill(own / 2, row + 5, row + columns);
    predictions.data[row + 5 + object.classId] = own;
  }
  return predictions;
}

/** Objects → YOLOv8's `[1, 4 + C, N]` (nn/modules/head.py: `torch.cat((dbox, cls.sigmoid()), 1)`). */
export function yolov8Predictions(
  objects: readonly Placed[],
  locations: number,
  { labels, ...frame }: DecoderInput,
  content: ContentRectangle,
): OutputTensor {
  const predictions = tensor([1, 4 + labels.length, locations]);
  const set = (channel: number, location: number, value: number): void => {
    predictions.data[channel * locations + location] = value;
  };
  for (const object of objects) {
    for (const [channel, value] of xywh(toPixels(object, frame, content)).entries())
      set(channel, object.location, value);
    for (let c = 0; c < labels.length; c++) set(4 + c, object.location, object.score / 3);
    set(4 + object.classId, object.location, object.score);
  }
  return predictions;
}

/** `[1, A, B]` → `[1, B, A]`. */
export function transposed({ data, dims }: OutputTensor): OutputTensor {
  const [rows, columns] = dims.slice(-2);
  const result = tensor([1, columns, rows]);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) result.data[column * rows + row] = data[row * columns + column];
  }
  return result;
}

/** Objects → `[1, N, 6]` of YOLOv10 (`v10postprocess`: x1, y1, x2, y2, score, class; the rows not filled hold no score). */
export function end2endDetections(
  objects: readonly SceneObject[],
  rows: number,
  frame: Pick<DecoderInput, 'width' | 'height'>,
  content: ContentRectangle,
): OutputTensor {
  const detections = tensor([1, rows, 6]);
  for (const [row, object] of objects.entries()) {
    detections.data.set([...toPixels(object, frame, content), object.score, object.classId], 6 * row);
  }
  return detections;
}
