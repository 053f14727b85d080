import type { DecoderInput, OutputTensor } from '../decoder.js';
import type { ContentRectangle } from '../frame.js';
import { type SceneObject, tensor } from './scene.inverse.js';
import { toPixels } from './yolo.inverse.js';

export interface FocalHead {
  strides: readonly number[];
  regMax: number;
  /** 0.5: `get_single_level_center_point` of gfl_head.py; 0: `get_single_level_center_priors` of nanodet_plus_head.py. */
  cellOffset: number;
}

/** The two outputs of each stride: class scores after the sigmoid, logits of the distance distributions. */
export interface FocalOutputs {
  scores: OutputTensor[];
  distributions: OutputTensor[];
}

/**
 * Objects → the outputs of a generalised focal head. Each object sits in the cell of its centre, on the first map where the
 * location lies inside the box and no side is farther than `regMax` strides; `placed` are those that found one.
 */
export function focalOutputs(
  objects: readonly SceneObject[],
  { strides, regMax, cellOffset }: FocalHead,
  { labels, ...frame }: DecoderInput,
  content: ContentRectangle,
): FocalOutputs & { placed: SceneObject[] } {
  const sizes = strides.map((stride) => [Math.ceil(frame.height / stride), Math.ceil(frame.width / stride)]);
  const bins = regMax + 1;
  const scores = sizes.map(([rows, columns]) => tensor([1, rows * columns, labels.length]));
  const distributions = sizes.map(([rows, columns]) => tensor([1, rows * columns, 4 * bins]));
  const taken = new Map<string, SceneObject>();
  for (const object of objects) {
    const [x1, y1, x2, y2] = toPixels(object, frame, content);
    for (const [level, stride] of strides.entries()) {
      const [column, row] = [Math.floor((x1 + x2) / 2 / stride), Math.floor((y1 + y2) / 2 / stride)];
      const [x, y] = [(column + cellOffset) * stride, (row + cellOffset) * stride];
      // distance2bbox, backwards, in strides.
      const distances = [x - x1, y - y1, x2 - x, y2 - y].map((distance) => distance / stride);
      if (distances.some((distance) => distance < 0 || distance > regMax)) continue;
      const location = row * sizes[level][1] + column;
      if (taken.has(`${level} ${location}`)) break;
      taken.set(`${level} ${location}`, object);
      scores[level].data[location * labels.length + object.classId] = object.score;
      for (const [side, distance] of distances.entries()) {
        distributions[level].data.set(distribution(distance, bins), location * 4 * bins + side * bins);
      }
      break;
    }
  }
  return { scores, distributions, placed: [...taken.values()] };
}

/** Logits of a distribution over 0, 1, ... whose mean is `distance`: all of it on the two nearest (distribution focal loss). */
function distribution(distance: number, bins: number): number[] {
  const low = Math.min(bins - 2, Math.floor(distance));
  const share = distance - low;
  return Array.from({ length: bins }, (_, bin) =>
    bin === low ? Math.log(1 - share) + 3 : bin === low + 1 ? Math.log(share) + 3 : -60,
  );
}

/** NanoDet-Plus' `_forward_onnx`: scores and distributions side by side, maps one below the other. */
export function merged({ scores, distributions }: FocalOutputs): OutputTensor {
  const [classes, sides] = [scores[0].dims[2], distributions[0].dims[2]];
  const columns = classes + sides;
  const rows = scores.reduce((sum, { dims }) => sum + dims[1], 0);
  const all = tensor([1, rows, columns]);
  let at = 0;
  for (const [level, { data, dims }] of scores.entries()) {
    for (let row = 0; row < dims[1]; row++, at += columns) {
      all.data.set(data.subarray(row * classes, (row + 1) * classes), at);
      all.data.set(distributions[level].data.subarray(row * sides, (row + 1) * sides), at + classes);
    }
  }
  return all;
}
