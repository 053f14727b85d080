import { type Static, Type } from '@sinclair/typebox';
import type { Decoder, DecoderInput } from '../decoder.js';
import type { Detection } from '../detection.js';
import { addCandidate, best, logit, sigmoid, softmax } from './candidate.js';

const Strict = { additionalProperties: false } as const;
const OutputName = Type.String({ minLength: 1, maxLength: 200 });

/**
 * Detection transformers: `logits` `[1, Q, C]` and `boxes` `[1, Q, 4]` = centre x, centre y, width, height in 0..1.
 *
 * - `activation: sigmoid` (RT-DETR, D-FINE, RF-DETR, Deformable DETR): each query and class is a candidate of its own, the `topK`
 *   best of all are kept. Source: github.com/lyuwenyu/RT-DETR, rtdetr_postprocessor.py (`use_focal_loss`);
 *   github.com/Peterande/D-FINE, postprocessor.py.
 * - `activation: softmax` (DETR): the last column is "no object"; each query gives its best class.
 *   Source: github.com/facebookresearch/detr, models/detr.py (`PostProcess`).
 */
export const DetrDecoder = Type.Object(
  {
    type: Type.Literal('detr'),
    outputs: Type.Object({ logits: OutputName, boxes: OutputName }, Strict),
    /** sigmoid when absent; none: the model's values are probabilities already. */
    activation: Type.Optional(Type.Union([Type.Literal('sigmoid'), Type.Literal('softmax'), Type.Literal('none')])),
    /** Candidates kept; 300 when absent, as in the source. */
    topK: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000 })),
    /** Added to the model's class id to give the line of the labels file (from 0); 0 when absent, -1 where ids count from 1. */
    labelOffset: Type.Optional(Type.Integer({ minimum: -1000, maximum: 1000 })),
  },
  Strict,
);
export type DetrDecoder = Static<typeof DetrDecoder>;

/** Makes the decoder; C is the number of labels less `labelOffset`, and one more ("no object") with the softmax. Best first. */
export function makeDetrDecoder(spec: DetrDecoder, input: DecoderInput): Decoder {
  const { labels, thresholds } = input;
  const { logits, boxes } = spec.outputs;
  const activation = spec.activation ?? 'sigmoid';
  const topK = spec.topK ?? 300;
  const offset = spec.labelOffset ?? 0;
  const classes = Math.max(0, labels.length - offset);
  const columns = activation === 'softmax' ? classes + 1 : classes;
  // Compared as logits: an exponential only for what is kept. A class without a label is never kept.
  const lowest = Float64Array.from({ length: classes }, (_, c) => {
    const threshold = thresholds[c + offset] ?? Number.NaN;
    return activation === 'sigmoid' ? logit(threshold) : threshold;
  });
  const probabilities = new Float64Array(columns);

  const add = (
    found: Detection[],
    box: Float32Array,
    query: number,
    c: number,
    score: number,
    content: Content,
  ): void => {
    const at = 4 * query;
    const halfWidth = box[at + 2] / 2;
    const halfHeight = box[at + 3] / 2;
    const [x, y] = [box[at], box[at + 1]];
    addCandidate(
      found,
      labels,
      c + offset,
      score,
      x - halfWidth,
      y - halfHeight,
      x + halfWidth,
      y + halfHeight,
      content,
    );
  };

  return {
    outputs: [
      { field: 'decoder.outputs.logits', name: logits, dims: [1, null, columns] },
      { field: 'decoder.outputs.boxes', name: boxes, dims: [1, null, 4] },
    ],
    suppress: false,
    decode(outputs, content) {
      const values = outputs[logits].data;
      const box = outputs[boxes].data;
      const queries = columns === 0 ? 0 : Math.min(Math.floor(values.length / columns), Math.floor(box.length / 4));
      const found: Detection[] = [];
      for (let query = 0; query < queries; query++) {
        if (activation === 'softmax') {
          softmax(values, query * columns, columns, probabilities);
          let c = 0;
          for (let other = 1; other < classes; other++) if (probabilities[other] > probabilities[c]) c = other;
          if (probabilities[c] >= lowest[c]) add(found, box, query, c, probabilities[c], content);
          continue;
        }
        for (let c = 0; c < classes; c++) {
          const value = values[query * columns + c];
          if (!(value >= lowest[c])) continue;
          add(found, box, query, c, activation === 'sigmoid' ? sigmoid(value) : value, content);
        }
      }
      return best(found, topK);
    },
  };
}

type Content = Parameters<Decoder['decode']>[1];
