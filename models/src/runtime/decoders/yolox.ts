import { type Static, Type } from '@sinclair/typebox';
import type { Decoder, DecoderInput } from '../decoder.js';
import type { Detection } from '../detection.js';
import { addCandidate } from './candidate.js';
import { Activation, makeObjectnessScan } from './dense.js';
import { gridLocations, Strides } from './strides.js';

const Strict = { additionalProperties: false } as const;
const OutputName = Type.String({ minLength: 1, maxLength: 200 });

/**
 * YOLOX: `predictions` `[1, N, 5 + C]`, locations stride by stride and row by row; a row is x, y, w, h, objectness and a value per
 * class. Score = objectness × class. Raw (the default export): centre = (x + column, y + row) · stride,
 * size = (exp w, exp h) · stride; decoded (`export_onnx.py --decode_in_inference`): centre and size in pixels.
 * Its pictures are letterboxed at the top left (`input.anchor: top-left`) on 114, BGR 0..255.
 * Source: github.com/Megvii-BaseDetection/YOLOX, yolox/models/yolo_head.py (`decode_outputs`), yolox/utils/demo_utils.py
 * (`demo_postprocess`), yolox/data/data_augment.py (`preproc`).
 */
export const YoloxDecoder = Type.Object(
  {
    type: Type.Literal('yolox'),
    outputs: Type.Object({ predictions: OutputName }, Strict),
    /** 8, 16, 32 when absent. */
    strides: Type.Optional(Strides),
    /** true: the model decodes its boxes itself; false when absent. */
    decoded: Type.Optional(Type.Boolean()),
    /** none when absent: the exported model ends in the sigmoid. */
    activation: Type.Optional(Activation),
  },
  Strict,
);
export type YoloxDecoder = Static<typeof YoloxDecoder>;

export const YOLOX_STRIDES: readonly number[] = [8, 16, 32];

/** Makes the decoder. */
export function makeYoloxDecoder(spec: YoloxDecoder, input: DecoderInput): Decoder {
  const { width, height, labels, thresholds } = input;
  const strides = spec.strides ?? YOLOX_STRIDES;
  const columns = 5 + labels.length;
  const name = spec.outputs.predictions;
  const scan = makeObjectnessScan(thresholds, spec.activation ?? 'none');
  const locations = gridLocations(width, height, strides);
  const grid = spec.decoded === true ? undefined : makeGrid(width, height, strides, locations);
  return {
    outputs: [{ field: 'decoder.outputs.predictions', name, dims: [1, locations, columns] }],
    suppress: true,
    decode(outputs, content) {
      const { data } = outputs[name];
      const found: Detection[] = [];
      scan(data, (location, classId, score) => {
        const at = location * columns;
        let [x, y, w, h] = [data[at], data[at + 1], data[at + 2], data[at + 3]];
        if (grid !== undefined) {
          const [column, row, stride] = grid.subarray(3 * location, 3 * location + 3);
          x = (x + column) * stride;
          y = (y + row) * stride;
          w = Math.exp(w) * stride;
          h = Math.exp(h) * stride;
        }
        addCandidate(
          found,
          labels,
          classId,
          score,
          (x - w / 2) / width,
          (y - h / 2) / height,
          (x + w / 2) / width,
          (y + h / 2) / height,
          content,
        );
      });
      return found;
    },
  };
}

/** Column, row and stride of each location. */
function makeGrid(width: number, height: number, strides: readonly number[], locations: number): Float64Array {
  const grid = new Float64Array(3 * locations);
  let at = 0;
  for (const stride of strides) {
    for (let row = 0; row < Math.ceil(height / stride); row++) {
      for (let column = 0; column < Math.ceil(width / stride); column++, at += 3) grid.set([column, row, stride], at);
    }
  }
  return grid;
}
