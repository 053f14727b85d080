import { type Static, Type } from '@sinclair/typebox';
import type { Decoder, DecoderInput } from '../decoder.js';
import type { Detection } from '../detection.js';
import { addCandidate, logit, sigmoid, softmax } from './candidate.js';
import { makeSsdAnchors, SsdAnchors } from './ssd-anchors.js';

const Strict = { additionalProperties: false } as const;
const OutputName = Type.String({ minLength: 1, maxLength: 200 });
const Scale = Type.Number({ exclusiveMinimum: 0, maximum: 1000 });

/**
 * An SSD before its post-processing: per anchor a box encoding and a score per class. `boxes` `[1, N, 4]` or `[1, N, 1, 4]`,
 * `scores` `[1, N, C]` with a column more for the background. Box coder (Faster R-CNN, section 3.1.2, with scale factors):
 * centre = t / scale · anchor size + anchor centre, size = exp(t / scale) · anchor size.
 *
 * - TensorFlow Object Detection API: the defaults (order yxhw, scales 10, 10, 5, 5, sigmoid, background first).
 *   Source: github.com/tensorflow/models, research/object_detection/box_coders/faster_rcnn_box_coder.py.
 * - torchvision's SSD and SSDlite, amdegroot/ssd.pytorch, qfgaohao/pytorch-ssd: `boxOrder: xywh`, `activation: softmax` (none
 *   where the export ends in the softmax), anchors by `grids`. Their variances v mean scales 1 / v: 0.1, 0.2 are 10, 5.
 *   Source: torchvision/models/detection/_utils.py (`BoxCoder`); amdegroot/ssd.pytorch layers/box_utils.py (`decode`).
 */
export const SsdRawDecoder = Type.Object(
  {
    type: Type.Literal('ssd-raw'),
    outputs: Type.Object({ boxes: OutputName, scores: OutputName }, Strict),
    anchors: SsdAnchors,
    /** Order of an encoding's four numbers; yxhw when absent. */
    boxOrder: Type.Optional(Type.Union([Type.Literal('yxhw'), Type.Literal('xywh')])),
    /** The box coder's scale factors, in the order of an encoding; 10, 10, 5, 5 when absent. */
    boxScales: Type.Optional(Type.Array(Scale, { minItems: 4, maxItems: 4 })),
    /** sigmoid when absent; none: the model's values are probabilities already. */
    activation: Type.Optional(Type.Union([Type.Literal('sigmoid'), Type.Literal('softmax'), Type.Literal('none')])),
    /** Column of the background; first when absent. */
    background: Type.Optional(Type.Union([Type.Literal('first'), Type.Literal('last'), Type.Literal('none')])),
  },
  Strict,
);
export type SsdRawDecoder = Static<typeof SsdRawDecoder>;

/** Largest exponent of a size: what a broken model sends stays finite (torchvision's `bbox_xform_clip`). */
const MAX_LOG_SIZE = Math.log(1000 / 16);

/** Makes the decoder: each anchor and each class (the background is none) at or above its threshold is a candidate. */
export function makeSsdRawDecoder(spec: SsdRawDecoder, input: DecoderInput): Decoder {
  const { labels, thresholds } = input;
  const { boxes, scores } = spec.outputs;
  const anchors = makeSsdAnchors(spec.anchors, input.width, input.height);
  const count = anchors.length / 4;
  const activation = spec.activation ?? 'sigmoid';
  const background = spec.background ?? 'first';
  const columns = labels.length + (background === 'none' ? 0 : 1);
  const first = background === 'first' ? 1 : 0;
  // Positions of y, x, h, w in an encoding.
  const [y, x, h, w] = spec.boxOrder === 'xywh' ? [1, 0, 3, 2] : [0, 1, 2, 3];
  const scales = spec.boxScales ?? [10, 10, 5, 5];
  // Compared as logits: an exponential only for what is kept.
  const lowest = Float64Array.from(thresholds, (score) => (activation === 'sigmoid' ? logit(score) : score));
  const probabilities = new Float64Array(columns);
  // A class against the background alone: what does not pass here cannot pass against all, and needs no exponentials.
  const overBackground = Float64Array.from(thresholds, (score) => logit(score) - 1e-6);
  const hopeless = (values: Float32Array, row: number): boolean => {
    if (background === 'none') return false;
    const ground = values[row + (background === 'first' ? 0 : labels.length)];
    for (let c = 0; c < labels.length; c++) if (values[row + first + c] - ground >= overBackground[c]) return false;
    return true;
  };

  const add = (
    found: Detection[],
    encodings: Float32Array,
    anchor: number,
    classId: number,
    score: number,
    content: Content,
  ) => {
    const at = 4 * anchor;
    const [anchorY, anchorX, anchorH, anchorW] = anchors.subarray(at, at + 4);
    const centreY = (encodings[at + y] / scales[y]) * anchorH + anchorY;
    const centreX = (encodings[at + x] / scales[x]) * anchorW + anchorX;
    const halfH = (Math.exp(Math.min(MAX_LOG_SIZE, encodings[at + h] / scales[h])) * anchorH) / 2;
    const halfW = (Math.exp(Math.min(MAX_LOG_SIZE, encodings[at + w] / scales[w])) * anchorW) / 2;
    addCandidate(
      found,
      labels,
      classId,
      score,
      centreX - halfW,
      centreY - halfH,
      centreX + halfW,
      centreY + halfH,
      content,
    );
  };

  return {
    outputs: [
      { field: 'decoder.outputs.boxes', name: boxes, dims: [1, count, 4], alternatives: [[1, count, 1, 4]] },
      { field: 'decoder.outputs.scores', name: scores, dims: [1, count, columns] },
    ],
    suppress: true,
    decode(outputs, content) {
      const encodings = outputs[boxes].data;
      const values = outputs[scores].data;
      const found: Detection[] = [];
      for (let anchor = 0; anchor < count; anchor++) {
        const row = anchor * columns;
        if (activation === 'softmax') {
          if (hopeless(values, row)) continue;
          softmax(values, row, columns, probabilities);
          for (let c = 0; c < labels.length; c++) {
            const score = probabilities[first + c];
            if (score >= lowest[c]) add(found, encodings, anchor, c, score, content);
          }
          continue;
        }
        for (let c = 0; c < labels.length; c++) {
          const value = values[row + first + c];
          if (!(value >= lowest[c])) continue;
          add(found, encodings, anchor, c, activation === 'sigmoid' ? sigmoid(value) : value, content);
        }
      }
      return found;
    },
  };
}

type Content = Parameters<Decoder['decode']>[1];
