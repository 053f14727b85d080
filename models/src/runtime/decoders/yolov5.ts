import { type Static, Type } from '@sinclair/typebox';
import type { Decoder, DecoderInput } from '../decoder.js';
import type { Detection } from '../detection.js';
import { addCandidate } from './candidate.js';
import { Activation, ExtraColumns, makeObjectnessScan, Units } from './dense.js';

const Strict = { additionalProperties: false } as const;
const OutputName = Type.String({ minLength: 1, maxLength: 200 });

/**
 * YOLOv5 and what is exported alike (YOLOv6, YOLOv7 with `--grid`): `predictions` `[1, N, 5 + C]`; a row is centre x, centre y,
 * width, height, objectness and a value per class, boxes decoded by the model. Score = objectness × class.
 * Source: github.com/ultralytics/yolov5, models/yolo.py (`Detect.forward`) and utils/general.py (`non_max_suppression`);
 * units in TensorFlow exports: models/tf.py (`TFDetect`, divided by the size of the picture).
 */
export const Yolov5Decoder = Type.Object(
  {
    type: Type.Literal('yolov5'),
    outputs: Type.Object({ predictions: OutputName }, Strict),
    /** pixels when absent; normalized: TensorFlow exports. */
    units: Type.Optional(Units),
    /** none when absent: the exported model ends in the sigmoid. */
    activation: Type.Optional(Activation),
    /** Values of a row after its classes, not read: 32 mask coefficients of YOLOv5-seg; 0 when absent. */
    extra: Type.Optional(ExtraColumns),
  },
  Strict,
);
export type Yolov5Decoder = Static<typeof Yolov5Decoder>;

/** Makes the decoder; N is read from the output (25,200 at 640 × 640). */
export function makeYolov5Decoder(spec: Yolov5Decoder, input: DecoderInput): Decoder {
  const { labels, thresholds } = input;
  const extra = spec.extra ?? 0;
  const columns = 5 + labels.length + extra;
  const name = spec.outputs.predictions;
  const [width, height] = spec.units === 'normalized' ? [1, 1] : [input.width, input.height];
  const scan = makeObjectnessScan(thresholds, spec.activation ?? 'none', extra);
  return {
    outputs: [
      {
        field: 'decoder.outputs.predictions',
        name,
        dims: [1, null, columns],
        alternatives: [[null, columns]],
      },
    ],
    suppress: true,
    decode(outputs, content) {
      const { data } = outputs[name];
      const found: Detection[] = [];
      scan(data, (location, classId, score) => {
        const at = location * columns;
        const [x, y] = [data[at] / width, data[at + 1] / height];
        const [halfWidth, halfHeight] = [data[at + 2] / width / 2, data[at + 3] / height / 2];
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
      });
      return found;
    },
  };
}
