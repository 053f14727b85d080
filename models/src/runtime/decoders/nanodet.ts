import { type Static, Type } from '@sinclair/typebox';
import type { Decoder, DecoderInput, OutputRequirement } from '../decoder.js';
import type { Detection } from '../detection.js';
import { addCandidate } from './candidate.js';
import { Activation, makeClassScan } from './dense.js';
import { type DecoderProblem, gridLocations, repeatedStride, Strides } from './strides.js';

const Strict = { additionalProperties: false } as const;
const OutputName = Type.String({ minLength: 1, maxLength: 200 });
const PerStride = Type.Array(OutputName, { minItems: 1, maxItems: 8 });

const parameters = {
  /**
   * `merged` alone: one output `[1, N, C + 4 (R + 1)]`, or `scores` with `distributions`: `[1, N, C]` and `[1, N, 4 (R + 1)]` for
   * each stride, in the order of `strides`; with or without the batch. Some files name their outputs in another order than
   * they give them: go by their shapes.
   */
  outputs: Type.Object(
    {
      merged: Type.Optional(OutputName),
      scores: Type.Optional(PerStride),
      distributions: Type.Optional(PerStride),
    },
    Strict,
  ),
  strides: Strides,
  /** R: a side's distance is 0..R strides; 7 when absent. */
  regMax: Type.Optional(Type.Integer({ minimum: 1, maximum: 64 })),
  /**
   * Where in its cell a location stands, 0 (the corner) to 1. When absent: `nanodet` 0.5 with three strides (NanoDet) and 0
   * with four or more (NanoDet-Plus), `picodet` 0.5.
   */
  cellOffset: Type.Optional(Type.Number({ minimum: 0, maximum: 1 })),
  /** none when absent: the exported model ends in the sigmoid. */
  activation: Type.Optional(Activation),
};

/**
 * Generalised focal heads: per location a score per class, and for each side of the box (left, top, right, bottom) the
 * logits of a distribution over distances 0, 1, ... R. Distance = its expectation · stride, from the location to the side.
 * Locations stride by stride, row by row; a feature map has ceil(width / stride) × ceil(height / stride) of them.
 *
 * - NanoDet (m, g, RepVGG ...): strides 8, 16, 32, cell centres. Source: github.com/RangiLyu/nanodet,
 *   nanodet/model/head/gfl_head.py (`get_single_level_center_point`: + 0.5) and nanodet_head.py.
 * - NanoDet-Plus: strides 8, 16, 32, 64, cell corners, one merged output. Source: the same,
 *   nanodet/model/head/nanodet_plus_head.py (`get_single_level_center_priors`: no offset; `_forward_onnx`).
 */
export const NanodetDecoder = Type.Object({ type: Type.Literal('nanodet'), ...parameters }, Strict);
export type NanodetDecoder = Static<typeof NanodetDecoder>;

/**
 * The same head with the cell centre as its location: PP-PicoDet, strides 8, 16, 32, 64, an output of each kind per stride.
 * Source: github.com/PaddlePaddle/PaddleDetection, ppdet/modeling/heads/pico_head.py (`cell_offset: 0.5` in
 * configs/picodet/_base_/picodet_v2.yml).
 */
export const PicodetDecoder = Type.Object({ type: Type.Literal('picodet'), ...parameters }, Strict);
export type PicodetDecoder = Static<typeof PicodetDecoder>;

/** Makes the decoder of either family. */
export function makeNanodetDecoder(spec: NanodetDecoder | PicodetDecoder, input: DecoderInput): Decoder {
  const { width, height, labels, thresholds } = input;
  const { strides } = spec;
  const { merged, scores = [], distributions = [] } = spec.outputs;
  const classes = labels.length;
  const bins = (spec.regMax ?? 7) + 1;
  const offset = spec.cellOffset ?? (spec.type === 'nanodet' && strides.length > 3 ? 0 : 0.5);
  const scan = makeClassScan(thresholds, spec.activation ?? 'none');

  const addBox = (
    found: Detection[],
    [location, classId, score]: [number, number, number],
    logits: Float32Array,
    at: number,
    stride: number,
    content: Content,
  ): void => {
    const columns = Math.ceil(width / stride);
    const x = ((location % columns) + offset) * stride;
    const y = (Math.floor(location / columns) + offset) * stride;
    const [left, top, right, bottom] = [0, 1, 2, 3].map((side) => expectation(logits, at + side * bins, bins) * stride);
    addCandidate(
      found,
      labels,
      classId,
      score,
      (x - left) / width,
      (y - top) / height,
      (x + right) / width,
      (y + bottom) / height,
      content,
    );
  };

  const columns = merged === undefined ? classes : classes + 4 * bins;
  return {
    outputs:
      merged === undefined
        ? strides.flatMap((stride, index) => [
            requirement(`scores[${index}]`, scores[index], gridLocations(width, height, [stride]), classes),
            requirement(
              `distributions[${index}]`,
              distributions[index],
              gridLocations(width, height, [stride]),
              4 * bins,
            ),
          ])
        : [requirement('merged', merged, gridLocations(width, height, strides), columns)],
    suppress: true,
    decode(outputs, content) {
      const found: Detection[] = [];
      let first = 0;
      for (const [index, stride] of strides.entries()) {
        const locations = gridLocations(width, height, [stride]);
        const values = outputs[merged ?? scores[index]].data;
        const logits = merged === undefined ? outputs[distributions[index]].data : values;
        const places = { start: first * columns, locations, perLocation: columns, perClass: 1 };
        scan(values, places, (location, classId, score) => {
          const at = merged === undefined ? location * 4 * bins : (first + location) * columns + classes;
          addBox(found, [location, classId, score], logits, at, stride, content);
        });
        if (merged !== undefined) first += locations;
      }
      return found;
    },
  };
}

type Content = Parameters<Decoder['decode']>[1];

function requirement(field: string, name: string, rows: number, columns: number): OutputRequirement {
  return { field: `decoder.outputs.${field}`, name, dims: [1, rows, columns], alternatives: [[rows, columns]] };
}

/** Mean of 0, 1, ... weighted by the softmax of `count` logits. */
function expectation(logits: Float32Array, start: number, count: number): number {
  let highest = -Infinity;
  for (let i = 0; i < count; i++) highest = Math.max(highest, logits[start + i]);
  let sum = 0;
  let weighted = 0;
  for (let i = 0; i < count; i++) {
    const weight = Math.exp(logits[start + i] - highest);
    sum += weight;
    weighted += i * weight;
  }
  return weighted / sum;
}

/** Which outputs are named must make one of the two forms, with a name for each stride. */
export function nanodetProblem({ outputs, strides }: NanodetDecoder | PicodetDecoder): DecoderProblem | undefined {
  const { merged, scores, distributions } = outputs;
  const split = scores !== undefined && distributions !== undefined;
  const one = scores !== undefined || distributions !== undefined;
  if (merged === undefined ? !split : one) {
    return { field: 'outputs', problem: 'name merged alone, or scores and distributions with a name for each stride' };
  }
  for (const [key, names] of Object.entries({ scores, distributions })) {
    if (names !== undefined && names.length !== strides.length) {
      return {
        field: `outputs.${key}`,
        problem: `${names.length} names for ${strides.length} strides; give one for each stride`,
      };
    }
  }
  return repeatedStride(strides);
}
