import { type Static, Type } from '@sinclair/typebox';
import type { Decoder, DecoderInput } from '../decoder.js';
import { AnchorFreeDecoder, makeAnchorFreeDecoder } from './anchor-free.js';
import { ClassifyDecoder, makeClassifyDecoder } from './classify.js';
import { DetrDecoder, makeDetrDecoder } from './detr.js';
import { End2endDecoder, end2endProblem, makeEnd2endDecoder } from './end2end.js';
import { FastestdetDecoder, makeFastestdetDecoder } from './fastestdet.js';
import { makeNanodetDecoder, NanodetDecoder, nanodetProblem, PicodetDecoder } from './nanodet.js';
import { makeSsdDecoder, SsdDecoder } from './ssd.js';
import { ssdAnchorProblem } from './ssd-anchors.js';
import { makeSsdRawDecoder, SsdRawDecoder } from './ssd-raw.js';
import { type DecoderProblem, strideProblem } from './strides.js';
import { makeUltrafaceDecoder, UltrafaceDecoder } from './ultraface.js';
import { makeYolov5Decoder, Yolov5Decoder } from './yolov5.js';
import { makeYolov8Decoder, Yolov8Decoder, yolov8Problem } from './yolov8.js';
import { makeYoloxDecoder, YOLOX_STRIDES, YoloxDecoder } from './yolox.js';

/** `decoder` of a manifest: told apart by `type`. */
export const DecoderSpec = Type.Union([
  AnchorFreeDecoder,
  ClassifyDecoder,
  DetrDecoder,
  End2endDecoder,
  FastestdetDecoder,
  NanodetDecoder,
  PicodetDecoder,
  SsdDecoder,
  SsdRawDecoder,
  UltrafaceDecoder,
  Yolov5Decoder,
  Yolov8Decoder,
  YoloxDecoder,
]);
export type DecoderSpec = Static<typeof DecoderSpec>;

/** Makes the decoder that a manifest asks for. */
export function makeDecoder(spec: DecoderSpec, input: DecoderInput): Decoder {
  switch (spec.type) {
    case 'anchor-free':
      return makeAnchorFreeDecoder(spec, input);
    case 'classify':
      return makeClassifyDecoder(spec, input);
    case 'detr':
      return makeDetrDecoder(spec, input);
    case 'end2end':
      return makeEnd2endDecoder(spec, input);
    case 'fastestdet':
      return makeFastestdetDecoder(spec, input);
    case 'nanodet':
    case 'picodet':
      return makeNanodetDecoder(spec, input);
    case 'ssd':
      return makeSsdDecoder(spec, input);
    case 'ssd-raw':
      return makeSsdRawDecoder(spec, input);
    case 'ultraface':
      return makeUltrafaceDecoder(spec, input);
    case 'yolov5':
      return makeYolov5Decoder(spec, input);
    case 'yolov8':
      return makeYolov8Decoder(spec, input);
    case 'yolox':
      return makeYoloxDecoder(spec, input);
  }
}

/** What the schema of a decoder cannot say: its parameters against each other and against the input. */
export function decoderProblem(
  spec: DecoderSpec,
  frame: { width: number; height: number },
): DecoderProblem | undefined {
  return repeatedOutput(spec.outputs) ?? parameterProblem(spec, frame);
}

function parameterProblem(spec: DecoderSpec, frame: { width: number; height: number }): DecoderProblem | undefined {
  switch (spec.type) {
    case 'anchor-free':
      return strideProblem(spec.strides, frame);
    case 'yolox':
      return strideProblem(spec.strides ?? YOLOX_STRIDES, frame);
    case 'nanodet':
    case 'picodet':
      return nanodetProblem(spec);
    case 'yolov8':
      return yolov8Problem(spec);
    case 'end2end':
      return end2endProblem(spec);
    case 'ssd-raw':
      return ssdAnchorProblem(spec.anchors, frame);
    default:
      return undefined;
  }
}

/** No output of a model serves for two. */
function repeatedOutput(outputs: DecoderSpec['outputs']): DecoderProblem | undefined {
  const seen = new Map<string, string>();
  for (const [key, value] of Object.entries(outputs) as [string, string | string[]][]) {
    for (const name of [value].flat()) {
      const other = seen.get(name);
      if (other !== undefined) {
        const which = other === key ? `two of ${key}` : `${other} and ${key}`;
        return { field: 'outputs', problem: `${which} are both "${name}"; name two outputs` };
      }
      seen.set(name, key);
    }
  }
  return undefined;
}
