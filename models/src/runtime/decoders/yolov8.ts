import { type Static, Type } from '@sinclair/typebox';
import type { Decoder, DecoderInput, OutputRequirement, OutputTensor } from '../decoder.js';
import type { Detection } from '../detection.js';
import { addCandidate } from './candidate.js';
import { Activation, ExtraColumns, makeClassScan, Units } from './dense.js';
import type { DecoderProblem } from './strides.js';

const Strict = { additionalProperties: false } as const;
const OutputName = Type.String({ minLength: 1, maxLength: 200 });

/**
 * YOLOv8 and its like (YOLOv9, YOLO11, YOLO12, YOLO26's one-to-many head): `predictions` `[1, 4 + C, N]`, each column a location:
 * centre x, centre y, width, height and a score per class, boxes decoded by the model; or `[1, N, 4 + C]`, not transposed.
 * Also heads that give the same in two outputs, `boxes` `[1, N, 4]` or `[1, 4, N]` and `scores` `[1, N, C]` or `[1, C, N]`: YOLO-NAS,
 * PP-YOLOE and PicoDet exported without suppression (`boxFormat: xyxy`).
 * Models of masks, key points and turned boxes put more values behind the classes (`extra`); their boxes are read, a turned
 * one as if it stood straight.
 * Source: github.com/ultralytics/ultralytics, nn/modules/head.py (`Detect`) and utils/ops.py (`non_max_suppression`);
 * units in TensorFlow exports: `Detect._inference` (divided by the size of the picture);
 * Deci-AI/super-gradients, documentation/source/models_export.md; PaddlePaddle/PaddleDetection,
 * ppdet/modeling/heads/ppyoloe_head.py (`exclude_nms`).
 */
export const Yolov8Decoder = Type.Object(
  {
    type: Type.Literal('yolov8'),
    /** `predictions` alone, or `boxes` with `scores`. */
    outputs: Type.Object(
      {
        predictions: Type.Optional(OutputName),
        boxes: Type.Optional(OutputName),
        scores: Type.Optional(OutputName),
      },
      Strict,
    ),
    /** channels-first: `[1, 4 + C, N]`. When absent, found from the shape; first where both fit. */
    layout: Type.Optional(Type.Union([Type.Literal('channels-first'), Type.Literal('channels-last')])),
    /** xywh (centre and size) when absent; xyxy: two corners. */
    boxFormat: Type.Optional(Type.Union([Type.Literal('xywh'), Type.Literal('xyxy')])),
    /** pixels when absent; normalized: TensorFlow exports. */
    units: Type.Optional(Units),
    /** none when absent: the exported model ends in the sigmoid. */
    activation: Type.Optional(Activation),
    /** Values of a location after its classes, not read: 32 mask coefficients, 51 of key points, an angle; 0 when absent. */
    extra: Type.Optional(ExtraColumns),
  },
  Strict,
);
export type Yolov8Decoder = Static<typeof Yolov8Decoder>;

/** Where the values of a tensor stand: from one location, and from one channel, to the next. */
interface Places {
  data: Float32Array;
  locations: number;
  perLocation: number;
  perChannel: number;
}

/** Makes the decoder; N is read from the output (8400 at 640 × 640). */
export function makeYolov8Decoder(spec: Yolov8Decoder, input: DecoderInput): Decoder {
  const { labels, thresholds } = input;
  const { predictions, boxes = '', scores = '' } = spec.outputs;
  const classes = labels.length;
  const channels = 4 + classes + (spec.extra ?? 0);
  const [width, height] = spec.units === 'normalized' ? [1, 1] : [input.width, input.height];
  const corners = spec.boxFormat === 'xyxy';
  const scan = makeClassScan(thresholds, spec.activation ?? 'none');

  const requirement = (field: string, name: string, channels: number): OutputRequirement => {
    const shapes: (number | null)[][] = [];
    if (spec.layout !== 'channels-last') shapes.push([1, channels, null], [channels, null]);
    if (spec.layout !== 'channels-first') shapes.push([1, null, channels], [null, channels]);
    return { field: `decoder.outputs.${field}`, name, dims: shapes[0], alternatives: shapes.slice(1) };
  };
  const places = ({ data, dims }: OutputTensor, channels: number): Places => {
    const [first, last] = dims.slice(-2);
    const channelsFirst = spec.layout === undefined ? first === channels : spec.layout === 'channels-first';
    return channelsFirst
      ? { data, locations: last, perLocation: 1, perChannel: last }
      : { data, locations: first, perLocation: last, perChannel: 1 };
  };

  return {
    outputs:
      predictions === undefined
        ? [requirement('boxes', boxes, 4), requirement('scores', scores, classes)]
        : [requirement('predictions', predictions, channels)],
    suppress: true,
    decode(outputs, content) {
      const box = predictions === undefined ? places(outputs[boxes], 4) : places(outputs[predictions], channels);
      const score = predictions === undefined ? places(outputs[scores], classes) : box;
      const found: Detection[] = [];
      scan(
        score.data,
        {
          start: predictions === undefined ? 0 : 4 * box.perChannel,
          locations: Math.min(box.locations, score.locations),
          perLocation: score.perLocation,
          perClass: score.perChannel,
        },
        (location, classId, value) => {
          const { data, perChannel } = box;
          const at = location * box.perLocation;
          const [a, b] = [data[at] / width, data[at + perChannel] / height];
          const [c, d] = [data[at + 2 * perChannel] / width, data[at + 3 * perChannel] / height];
          if (corners) addCandidate(found, labels, classId, value, a, b, c, d, content);
          else addCandidate(found, labels, classId, value, a - c / 2, b - d / 2, a + c / 2, b + d / 2, content);
        },
      );
      return found;
    },
  };
}

/** Which outputs are named must make one of the two forms. */
export function yolov8Problem({ outputs, extra }: Yolov8Decoder): DecoderProblem | undefined {
  if (outputs.predictions === undefined && extra !== undefined) {
    return { field: 'extra', problem: 'boxes and scores of their own hold nothing else; leave it out' };
  }
  const { predictions, boxes, scores } = outputs;
  const split = boxes !== undefined && scores !== undefined;
  const one = boxes !== undefined || scores !== undefined;
  if (predictions === undefined ? split : !one) return undefined;
  return { field: 'outputs', problem: 'name predictions alone, or boxes and scores' };
}
