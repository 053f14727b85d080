import type { Box } from './detection.js';
import type { ContentRectangle } from './frame.js';

/** Where a letterbox's picture stands: the border is on both sides of it, or to the right and below. */
export type LetterboxAnchor = 'center' | 'top-left';

/** Whole pixels of a model's frame that a picture fills. */
export interface PixelRectangle {
  x: number;
  y: number;
  width: number;
  height: number;
}

/**
 * Where a picture of `sourceWidth` × `sourceHeight` pixels stands in a frame of `width` × `height` when its shape is
 * kept: as large as fits; centred (odd pixels to the right and below) or at the top left. At least one pixel each way.
 */
export function letterbox(
  sourceWidth: number,
  sourceHeight: number,
  width: number,
  height: number,
  anchor: LetterboxAnchor = 'center',
): PixelRectangle {
  const scale = Math.min(width / sourceWidth, height / sourceHeight);
  const inner = {
    width: Math.min(width, Math.max(1, Math.round(sourceWidth * scale))),
    height: Math.min(height, Math.max(1, Math.round(sourceHeight * scale))),
  };
  if (anchor === 'top-left') return { x: 0, y: 0, ...inner };
  return { x: Math.floor((width - inner.width) / 2), y: Math.floor((height - inner.height) / 2), ...inner };
}

/** The same rectangle as shares of the model's frame. */
export function contentRectangle(pixels: PixelRectangle, width: number, height: number): ContentRectangle {
  return { x: pixels.x / width, y: pixels.y / height, width: pixels.width / width, height: pixels.height / height };
}

/** Maps a box of the model's frame (0..1) to the picture that stands at `content` in it, clipped to 0..1. */
export function toPicture(x1: number, y1: number, x2: number, y2: number, content: ContentRectangle): Box {
  return [
    clip((x1 - content.x) / content.width),
    clip((y1 - content.y) / content.height),
    clip((x2 - content.x) / content.width),
    clip((y2 - content.y) / content.height),
  ];
}

function clip(value: number): number {
  return Math.max(0, Math.min(1, value));
}
