import type { InputSpec } from '../package/manifest.js';
import { type ContentRectangle, type PlanarFrame, WHOLE_FRAME } from './frame.js';
import { contentRectangle, letterbox } from './letterbox.js';
import { makePlaneResizer } from './resize.js';

/** A model's own frame and where the picture stands in it. */
export interface FittedFrame {
  frame: PlanarFrame;
  content: ContentRectangle;
}

/** What of a manifest's input says how a picture is brought to the model's size. */
export type FrameShape = Pick<InputSpec, 'width' | 'height' | 'resize' | 'pad' | 'anchor'>;

/** Brings planar frames of any size to a model's. */
export type FrameFitter = (frame: PlanarFrame) => FittedFrame;

/**
 * Makes a fitter for a model's input: stretched or letterboxed as the manifest says. A frame of the model's size passes
 * as it is. The returned frame belongs to the fitter and is overwritten by its next call.
 */
export function makeFrameFitter(input: FrameShape): FrameFitter {
  const { width, height } = input;
  let prepared: { key: string; fit: FrameFitter } | undefined;
  return (frame) => {
    if (frame.width === width && frame.height === height) return { frame, content: WHOLE_FRAME };
    const key = `${frame.width}x${frame.height}`;
    if (prepared?.key !== key) prepared = { key, fit: fitterFor(frame.width, frame.height, input) };
    return prepared.fit(frame);
  };
}

function fitterFor(sourceWidth: number, sourceHeight: number, input: FrameShape): FrameFitter {
  const { width, height } = input;
  const place =
    input.resize === 'letterbox'
      ? letterbox(sourceWidth, sourceHeight, width, height, input.anchor)
      : { x: 0, y: 0, width, height };
  const resizer = makePlaneResizer(sourceWidth, sourceHeight, place.width, place.height);
  // The border is written once; only the picture's rectangle is overwritten per frame.
  const data = new Uint8Array(3 * width * height).fill(input.pad ?? 0);
  const fitted: FittedFrame = { frame: { width, height, data }, content: contentRectangle(place, width, height) };
  return (frame) => {
    for (let plane = 0; plane < 3; plane++) {
      const target = plane * width * height + place.y * width + place.x;
      resizer.run(frame.data, plane * sourceWidth * sourceHeight, data, target, width);
    }
    return fitted;
  };
}
