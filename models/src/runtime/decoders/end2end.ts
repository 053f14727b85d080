import { type Static, Type } from '@sinclair/typebox';
import type { Decoder, DecoderInput } from '../decoder.js';
import type { Detection } from '../detection.js';
import { addCandidate } from './candidate.js';
import { Units } from './dense.js';
import type { DecoderProblem } from './strides.js';

const Strict = { additionalProperties: false } as const;
const OutputName = Type.String({ minLength: 1, maxLength: 200 });
const Column = Type.Union(
  (['x1', 'y1', 'x2', 'y2', 'cx', 'cy', 'w', 'h', 'score', 'class', 'skip'] as const).map((name) => Type.Literal(name)),
);

/**
 * Models that give their detections themselves, one a row: `detections` `[1, N, 6]` = x1, y1, x2, y2, score, class; no
 * suppression follows. YOLOv10 and YOLO26 (N = 300), Ultralytics exports with `nms=True`; other orders by `columns`:
 * YOLOv7 `--end2end` `[N, 7]` is skip, x1, y1, x2, y2, class, score; PaddleDetection `[N, 6]` is class, score, x1, y1, x2, y2.
 * Source: github.com/THU-MIG/yolov10, ultralytics/utils/ops.py (`v10postprocess`); docs.ultralytics.com,
 * guides/end2end-detection; github.com/WongKinYiu/yolov7, models/experimental.py (`ONNX_ORT`);
 * github.com/PaddlePaddle/PaddleDetection, ppdet/modeling/layers.py (`MultiClassNMS`).
 */
export const End2endDecoder = Type.Object(
  {
    type: Type.Literal('end2end'),
    outputs: Type.Object({ detections: OutputName }, Strict),
    /** pixels of the model's frame when absent. */
    units: Type.Optional(Units),
    /** What stands in a row, in this order; x1, y1, x2, y2, score, class when absent. Corners, or cx, cy, w, h. */
    columns: Type.Optional(Type.Array(Column, { minItems: 6, maxItems: 64 })),
    /** Added to the model's class id to give the line of the labels file (from 0); 0 when absent, -1 where ids count from 1. */
    labelOffset: Type.Optional(Type.Integer({ minimum: -1000, maximum: 1000 })),
  },
  Strict,
);
export type End2endDecoder = Static<typeof End2endDecoder>;

const CORNERS = ['x1', 'y1', 'x2', 'y2'] as const;
const CENTRE = ['cx', 'cy', 'w', 'h'] as const;
const COLUMNS = [...CORNERS, 'score', 'class'] as const;

/** Makes the decoder: rows at or above their class' threshold, as they come. Rows that only fill the tensor are left out. */
export function makeEnd2endDecoder(spec: End2endDecoder, input: DecoderInput): Decoder {
  const { labels, thresholds } = input;
  const name = spec.outputs.detections;
  const columns: readonly string[] = spec.columns ?? COLUMNS;
  const [width, height] = spec.units === 'normalized' ? [1, 1] : [input.width, input.height];
  const offset = spec.labelOffset ?? 0;
  const corners = columns.includes('x1');
  const [a, b, c, d] = (corners ? CORNERS : CENTRE).map((column) => columns.indexOf(column));
  const [scoreAt, classAt] = [columns.indexOf('score'), columns.indexOf('class')];
  return {
    outputs: [
      {
        field: 'decoder.outputs.detections',
        name,
        dims: [1, null, columns.length],
        alternatives: [[null, columns.length]],
      },
    ],
    suppress: false,
    decode(outputs, content) {
      const { data } = outputs[name];
      const found: Detection[] = [];
      for (let row = 0; row + columns.length <= data.length; row += columns.length) {
        const classId = Math.round(data[row + classAt]) + offset;
        const score = data[row + scoreAt];
        // Undefined for a class without a label, and nothing is at or above undefined.
        if (!(score >= thresholds[classId])) continue;
        const [left, top] = [data[row + a] / width, data[row + b] / height];
        const [right, bottom] = [data[row + c] / width, data[row + d] / height];
        if (corners) addCandidate(found, labels, classId, score, left, top, right, bottom, content);
        else {
          const [x, y] = [right / 2, bottom / 2];
          addCandidate(found, labels, classId, score, left - x, top - y, left + x, top + y, content);
        }
      }
      return found;
    },
  };
}

/** Each column once, and a whole box among them. */
export function end2endProblem({ columns }: End2endDecoder): DecoderProblem | undefined {
  if (columns === undefined) return undefined;
  const named = columns.filter((column) => column !== 'skip');
  const forms = [CORNERS, CENTRE].map((box): readonly string[] => [...box, 'score', 'class']);
  const complete = forms.some((form) => named.length === form.length && form.every((c) => named.includes(c as never)));
  return complete
    ? undefined
    : {
        field: 'columns',
        problem: 'give x1, y1, x2, y2 (or cx, cy, w, h), score and class once each, and skip for others',
      };
}
