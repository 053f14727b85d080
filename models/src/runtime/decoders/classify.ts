import { type Static, Type } from '@sinclair/typebox';
import type { Decoder, DecoderInput } from '../decoder.js';
import type { Box, Detection } from '../detection.js';
import { best, sigmoid, softmax } from './candidate.js';

const Strict = { additionalProperties: false } as const;
const OutputName = Type.String({ minLength: 1, maxLength: 200 });

/**
 * A classifier: `logits` `[1, C]`, or `[1, C, 1, 1]` and `[1, 1, 1, C]` from a head of convolutions. C is the number of labels
 * less `labelOffset`. Softmax: one class of many (torchvision, timm, Keras, TF-slim); sigmoid: each label by itself;
 * none: the model ends in its own softmax or sigmoid.
 */
export const ClassifyDecoder = Type.Object(
  {
    type: Type.Literal('classify'),
    outputs: Type.Object({ logits: OutputName }, Strict),
    /** softmax when absent. */
    activation: Type.Optional(Type.Union([Type.Literal('softmax'), Type.Literal('sigmoid'), Type.Literal('none')])),
    /** Labels given per frame at the most; 5 when absent. */
    topK: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000 })),
    /**
     * Added to the model's class index to give the line of the labels file (from 0); 0 when absent. 1: the file begins with a
     * background that the model has not; -1: the model has a background that the file has not.
     */
    labelOffset: Type.Optional(Type.Integer({ minimum: -1000, maximum: 1000 })),
  },
  Strict,
);
export type ClassifyDecoder = Static<typeof ClassifyDecoder>;

const WHOLE: Box = [0, 0, 1, 1];

/** Makes the decoder: the `topK` best labels at or above their thresholds, best first, each with the whole picture as its box. */
export function makeClassifyDecoder(spec: ClassifyDecoder, input: DecoderInput): Decoder {
  const { labels, thresholds } = input;
  const { logits } = spec.outputs;
  const activation = spec.activation ?? 'softmax';
  const topK = spec.topK ?? 5;
  const offset = spec.labelOffset ?? 0;
  const classes = Math.max(0, labels.length - offset);
  const scores = new Float64Array(classes);
  return {
    outputs: [
      {
        field: 'decoder.outputs.logits',
        name: logits,
        dims: [1, classes],
        alternatives: [[1, classes, 1, 1], [1, 1, 1, classes], [classes]],
      },
    ],
    suppress: false,
    decode(outputs) {
      const values = outputs[logits].data;
      const count = Math.min(classes, values.length);
      if (activation === 'softmax') softmax(values, 0, count, scores);
      else for (let c = 0; c < count; c++) scores[c] = activation === 'sigmoid' ? sigmoid(values[c]) : values[c];
      const found: Detection[] = [];
      for (let c = 0; c < count; c++) {
        const classId = c + offset;
        // Undefined for a class without a label (the background), and nothing is at or above undefined.
        if (!(scores[c] >= thresholds[classId])) continue;
        found.push({ classId, label: labels[classId], score: Math.min(1, scores[c]), box: WHOLE });
      }
      return best(found, topK);
    },
  };
}
