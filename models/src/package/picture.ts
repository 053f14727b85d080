import sharp, { type OutputInfo } from 'sharp';
import { makeFrameFitter } from '../runtime/fit-frame.js';
import type { ContentRectangle, PlanarFrame } from '../runtime/frame.js';
import type { InputSpec } from './manifest.js';
import { PackageError } from './package-error.js';

/** Pixels beyond which a picture is refused: what a 50 megapixel camera gives fits. */
const MAX_PIXELS = 64 * 1024 * 1024;

/**
 * Decodes a picture (any format of sharp) upright, as 8-bit sRGB planes G, B, R of its own size. Throws PICTURE_INVALID.
 */
export async function decodePlanes(bytes: Buffer): Promise<PlanarFrame> {
  let raw: { data: Buffer; info: OutputInfo };
  try {
    raw = await sharp(bytes, { limitInputPixels: MAX_PIXELS, failOn: 'error' })
      .autoOrient()
      .toColourspace('srgb')
      .flatten({ background: '#000' })
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
  } catch (error) {
    throw new PackageError('PICTURE_INVALID', `picture cannot be decoded: ${(error as Error).message.split('\n')[0]}`, {
      cause: error,
    });
  }
  const { width, height, channels } = raw.info;
  const size = width * height;
  const data = new Uint8Array(3 * size);
  // Grey pictures come with one channel: the same sample serves all planes.
  const [red, green, blue] = channels >= 3 ? [0, 1, 2] : [0, 0, 0];
  for (let i = 0, from = 0; i < size; i++, from += channels) {
    data[i] = raw.data[from + green];
    data[size + i] = raw.data[from + blue];
    data[2 * size + i] = raw.data[from + red];
  }
  return { width, height, data };
}

/**
 * Decodes a picture into a model's own frame, stretched or letterboxed as `input` says. `width` and `height` are the
 * picture's own, in pixels, upright. Our own resizer does the scaling, so that any machine makes the same frame.
 * Throws PICTURE_INVALID.
 */
export async function decodePicture(
  bytes: Buffer,
  input: InputSpec,
): Promise<{ frame: PlanarFrame; content: ContentRectangle; width: number; height: number }> {
  const planes = await decodePlanes(bytes);
  return { ...makeFrameFitter(input)(planes), width: planes.width, height: planes.height };
}
