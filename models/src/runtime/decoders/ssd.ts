import { type Static, Type } from '@sinclair/typebox';
import type { Decoder, DecoderInput } from '../decoder.js';
import type { Detection } from '../detection.js';
import { addCandidate, best } from './candidate.js';

const Strict = { additionalProperties: false } as const;
const OutputName = Type.String({ minLength: 1, maxLength: 200 });

/**
 * Detections that the model has post-processed itself: boxes, class ids and scores, one row each.
 *
 * - TensorFlow Object Detection API (`detection_boxes` `[1, N, 4]` = ymin, xmin, ymax, xmax in 0..1, `detection_classes`
 *   `[1, N]` counted from 1, `detection_scores` `[1, N]`, `num_detections` `[1]`): the defaults, with `labelOffset: -1`.
 *   Source: github.com/tensorflow/models, research/object_detection/exporter_lib_v2.py and core/post_processing.py.
 * - torchvision detection models (`boxes` `[N, 4]` = x1, y1, x2, y2 in pixels, `labels` `[N]`, 0 is the background,
 *   `scores` `[N]`): `boxes: {order: xyxy, units: pixels}`, `labelOffset: -1`. Source: torchvision/models/detection.
 * - The ONNX model zoo's SSD: order xyxy, units normalized, `labelOffset: -1`. RT-DETR and D-FINE exported together with
 *   their post-processors (`labels`, `boxes`, `scores`): order xyxy, units pixels.
 */
export const SsdDecoder = Type.Object(
  {
    type: Type.Literal('ssd'),
    outputs: Type.Object(
      { boxes: OutputName, classes: OutputName, scores: OutputName, count: Type.Optional(OutputName) },
      Strict,
    ),
    boxes: Type.Optional(
      Type.Object(
        {
          /** yxyx when absent: ymin, xmin, ymax, xmax. */
          order: Type.Optional(Type.Union([Type.Literal('yxyx'), Type.Literal('xyxy')])),
          /** normalized when absent: 0..1 of the model's frame; pixels: of the model's frame. */
          units: Type.Optional(Type.Union([Type.Literal('normalized'), Type.Literal('pixels')])),
        },
        Strict,
      ),
    ),
    /** Added to the model's class id to give the line of the labels file (from 0); 0 when absent, -1 where ids count from 1. */
    labelOffset: Type.Optional(Type.Integer({ minimum: -1000, maximum: 1000 })),
  },
  Strict,
);
export type SsdDecoder = Static<typeof SsdDecoder>;

/**
 * Makes the decoder of post-processed detections; see `SsdDecoder` for the shapes. Rows beyond `num_detections`, class ids
 * without a label and scores under the class's threshold are left out. Best first.
 */
export function makeSsdDecoder(spec: SsdDecoder, input: DecoderInput): Decoder {
  const { labels, thresholds } = input;
  const { boxes, classes, scores, count } = spec.outputs;
  const order = spec.boxes?.order ?? 'yxyx';
  const [width, height] = spec.boxes?.units === 'pixels' ? [input.width, input.height] : [1, 1];
  const offset = spec.labelOffset ?? 0;
  const [xFirst, yFirst] = order === 'yxyx' ? [1, 0] : [0, 1];
  return {
    outputs: [
      { field: 'decoder.outputs.boxes', name: boxes, dims: [1, null, 4], alternatives: [[null, 4]] },
      { field: 'decoder.outputs.classes', name: classes, dims: [1, null], alternatives: [[null]] },
      { field: 'decoder.outputs.scores', name: scores, dims: [1, null], alternatives: [[null]] },
      ...(count === undefined
        ? []
        : [{ field: 'decoder.outputs.count', name: count, dims: [1], alternatives: [[], [1, 1]] }]),
    ],
    suppress: false,
    decode(outputs, content) {
      const box = outputs[boxes].data;
      const classOf = outputs[classes].data;
      const score = outputs[scores].data;
      let rows = Math.min(score.length, classOf.length, Math.floor(box.length / 4));
      // A count that is no number tells nothing, and the scores of rows that are not there are 0.
      if (count !== undefined && outputs[count].data[0] < rows) rows = Math.max(0, Math.round(outputs[count].data[0]));
      const found: Detection[] = [];
      for (let row = 0; row < rows; row++) {
        const classId = Math.round(classOf[row]) + offset;
        // Undefined for an id without a label, and nothing is at or above undefined.
        if (!(score[row] >= thresholds[classId])) continue;
        const at = 4 * row;
        addCandidate(
          found,
          labels,
          classId,
          score[row],
          box[at + xFirst] / width,
          box[at + yFirst] / height,
          box[at + 2 + xFirst] / width,
          box[at + 2 + yFirst] / height,
          content,
        );
      }
      return best(found, found.length);
    },
  };
}
