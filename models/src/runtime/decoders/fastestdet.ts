import { type Static, Type } from '@sinclair/typebox';
import type { Decoder, DecoderInput } from '../decoder.js';
import type { Detection } from '../detection.js';
import { addCandidate, sigmoid } from './candidate.js';

const Strict = { additionalProperties: false } as const;
const OutputName = Type.String({ minLength: 1, maxLength: 200 });

/**
 * FastestDet: one map `[1, 5 + C, H, W]`. Channels: objectness o (through the sigmoid in the model), box tx, ty, tw, th (raw),
 * class probabilities p (through the softmax in the model). Score = o^0.6 · p^0.4; centre = (tanh tx + column) / W,
 * (tanh ty + row) / H; size = sigmoid tw, sigmoid th of the frame. One candidate per cell: its best class.
 * Source: github.com/dog-qiuqiu/FastestDet, utils/tool.py (`handle_preds`) and module/custom_layers.py (`DetectHead`).
 */
export const FastestdetDecoder = Type.Object(
  { type: Type.Literal('fastestdet'), outputs: Type.Object({ map: OutputName }, Strict) },
  Strict,
);
export type FastestdetDecoder = Static<typeof FastestdetDecoder>;

/** Exponents of objectness and class probability in the score. */
const OBJECT_POWER = 0.6;
const CLASS_POWER = 0.4;

/** Makes the decoder; the size of the map (one cell for 16 pixels in the published models) is read from the output. */
export function makeFastestdetDecoder(spec: FastestdetDecoder, input: DecoderInput): Decoder {
  const { labels, thresholds } = input;
  const classes = labels.length;
  const { map } = spec.outputs;
  // No class can lift a cell over the lowest threshold when its objectness alone does not reach it.
  const leastObjectness = Math.min(...thresholds) ** (1 / OBJECT_POWER);
  return {
    outputs: [{ field: 'decoder.outputs.map', name: map, dims: [1, 5 + classes, null, null] }],
    suppress: true,
    decode(outputs, content) {
      const { data, dims } = outputs[map];
      const [rows, columns] = dims.slice(2);
      const cells = rows * columns;
      const found: Detection[] = [];
      for (let cell = 0; cell < cells; cell++) {
        const objectness = data[cell];
        if (!(objectness >= leastObjectness)) continue;
        let classId = -1;
        let highest = -Infinity;
        for (let c = 0; c < classes; c++) {
          const value = data[(5 + c) * cells + cell];
          if (value > highest) {
            highest = value;
            classId = c;
          }
        }
        const score = objectness ** OBJECT_POWER * highest ** CLASS_POWER;
        if (classId < 0 || !(score >= thresholds[classId])) continue;
        const x = (Math.tanh(data[cells + cell]) + (cell % columns)) / columns;
        const y = (Math.tanh(data[2 * cells + cell]) + Math.floor(cell / columns)) / rows;
        const halfWidth = sigmoid(data[3 * cells + cell]) / 2;
        const halfHeight = sigmoid(data[4 * cells + cell]) / 2;
        addCandidate(
          found,
          labels,
          classId,
          score,
          x - halfWidth,
          y - halfHeight,
          x + halfWidth,
          y + halfHeight,
          content,
        );
      }
      return found;
    },
  };
}
