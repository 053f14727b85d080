import { type Static, Type } from '@sinclair/typebox';
import type { Decoder, DecoderInput } from '../decoder.js';
import type { Detection } from '../detection.js';
import { addCandidate } from './candidate.js';

const Strict = { additionalProperties: false } as const;
const OutputName = Type.String({ minLength: 1, maxLength: 200 });

/**
 * Ultra-Light-Fast-Generic-Face-Detector (version-slim and version-RFB): per prior, `scores` `[1, N, 1 + C]` through the
 * softmax with the background first, and `boxes` `[1, N, 4]` = x1, y1, x2, y2 in 0..1 of the frame, both as the exported
 * model gives them. Source: github.com/Linzaer/Ultra-Light-Fast-Generic-Face-Detector-1MB, vision/ssd/ssd.py (`is_test`)
 * and caffe/ultra_face_caffe_inference.py.
 */
export const UltrafaceDecoder = Type.Object(
  { type: Type.Literal('ultraface'), outputs: Type.Object({ scores: OutputName, boxes: OutputName }, Strict) },
  Strict,
);
export type UltrafaceDecoder = Static<typeof UltrafaceDecoder>;

/** Makes the decoder: each prior and each class (the background is none) at or above its threshold is a candidate. */
export function makeUltrafaceDecoder(spec: UltrafaceDecoder, input: DecoderInput): Decoder {
  const { labels, thresholds } = input;
  const { scores, boxes } = spec.outputs;
  const columns = labels.length + 1;
  return {
    outputs: [
      { field: 'decoder.outputs.scores', name: scores, dims: [1, null, columns] },
      { field: 'decoder.outputs.boxes', name: boxes, dims: [1, null, 4] },
    ],
    suppress: true,
    decode(outputs, content) {
      const score = outputs[scores].data;
      const box = outputs[boxes].data;
      const rows = Math.min(Math.floor(score.length / columns), Math.floor(box.length / 4));
      const found: Detection[] = [];
      for (let row = 0; row < rows; row++) {
        for (let classId = 0; classId < labels.length; classId++) {
          const value = score[row * columns + 1 + classId];
          if (!(value >= thresholds[classId])) continue;
          const at = 4 * row;
          addCandidate(found, labels, classId, value, box[at], box[at + 1], box[at + 2], box[at + 3], content);
        }
      }
      return found;
    },
  };
}
