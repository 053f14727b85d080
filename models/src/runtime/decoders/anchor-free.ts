import { type Static, Type } from '@sinclair/typebox';
import type { Decoder, DecoderInput } from '../decoder.js';
import type { Detection } from '../detection.js';
import { toPicture } from '../letterbox.js';
import { logit } from './candidate.js';
import { gridLocations, Strides } from './strides.js';

const Strict = { additionalProperties: false } as const;
const OutputName = Type.String({ minLength: 1, maxLength: 200 });

/**
 * Our own anchor-free head: per location of strides s, row by row, a logit per class (`logits` `[1, N, C]`) and the
 * distances l, t, r, b from the cell's centre (x + 0.5, y + 0.5) in units of the stride (`distances` `[1, N, 4]`).
 * Source: models/training/README.md, "Using the model".
 */
export const AnchorFreeDecoder = Type.Object(
  {
    type: Type.Literal('anchor-free'),
    strides: Strides,
    outputs: Type.Object({ logits: OutputName, distances: OutputName }, Strict),
  },
  Strict,
);
export type AnchorFreeDecoder = Static<typeof AnchorFreeDecoder>;

/**
 * Makes the decoder: score = 1 / (1 + exp(-logit)), each location gives its best class at most. Boxes are clipped to the
 * picture before suppression, as in the figures of the source.
 */
export function makeAnchorFreeDecoder(spec: AnchorFreeDecoder, input: DecoderInput): Decoder {
  const { width, height, labels, thresholds } = input;
  const { strides, outputs } = spec;
  const classes = labels.length;
  const locations = gridLocations(width, height, strides);
  // Compared as logits: one comparison for each of the 99 % of locations that hold nothing, no exponential.
  const lowest = Float64Array.from(thresholds, logit);
  return {
    outputs: [
      { field: 'decoder.outputs.logits', name: outputs.logits, dims: [1, locations, classes] },
      { field: 'decoder.outputs.distances', name: outputs.distances, dims: [1, locations, 4] },
    ],
    suppress: true,
    decode(tensors, content) {
      const logits = tensors[outputs.logits].data;
      const distances = tensors[outputs.distances].data;
      const found: Detection[] = [];
      let location = 0;
      for (const stride of strides) {
        const columns = width / stride;
        const rows = height / stride;
        for (let y = 0; y < rows; y++) {
          for (let x = 0; x < columns; x++, location++) {
            let classId = -1;
            let best = -Infinity;
            for (let c = 0; c < classes; c++) {
              const value = logits[location * classes + c];
              if (value >= lowest[c] && value > best) {
                best = value;
                classId = c;
              }
            }
            if (classId < 0) continue;
            const d = location * 4;
            const box = toPicture(
              ((x + 0.5 - distances[d]) * stride) / width,
              ((y + 0.5 - distances[d + 1]) * stride) / height,
              ((x + 0.5 + distances[d + 2]) * stride) / width,
              ((y + 0.5 + distances[d + 3]) * stride) / height,
              content,
            );
            if (!(box[2] > box[0] && box[3] > box[1])) continue;
            found.push({ classId, label: labels[classId], score: 1 / (1 + Math.exp(-best)), box });
          }
        }
      }
      return found;
    },
  };
}
