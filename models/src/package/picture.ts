import sharp, { type OutputInfo } from 'sharp';
import { makeFrameFitter } from '../runtime/fit-frame.js';
import type { ContentRectangle, PlanarFrame } from '../runtime/frame.js';
import type { InputSpec } from './manifest.js';
import { PackageError } from './package-error.js';

/** Pixels beyond which a picture is refused: what a 50 megapixel camera gives fits. */
const MAX_PIXELS = 64 * 1024 * 1024;

/**
 * What a picture's first bytes must be. sharp would also take SVG (XML that can name other files and grow a thousandfold)
 * and whatever else its libraries know; no camera makes those.
 */
const SIGNATURES: readonly { format: string; pattern: RegExp }[] = [
  { format: 'JPEG', pattern: /^\xff\xd8\xff/ },
  { format: 'PNG', pattern: /^\x89PNG\r\n/ },
  { format: 'WebP', pattern: /^RIFF[\s\S]{4}WEBP/ },
  { format: 'GIF', pattern: /^GIF8[79]a/ },
  { format: 'TIFF', pattern: /^(II\*\0|MM\0\*)/ },
  { format: 'AVIF/HEIF', pattern: /^[\s\S]{4}ftyp(avif|avis|heic|heix|mif1|msf1)/ },
];
export const GOLDEN_FORMATS: readonly string[] = ['JPEG', 'PNG'];

export interface PictureBounds {
  maxPixels?: number;
  /** Names of SIGNATURES. */
  formats?: readonly string[];
}

/**
 * Decodes a picture (JPEG, PNG, WebP, GIF, TIFF, AVIF) upright, as 8-bit sRGB planes G, B, R of its own size. Its size is
 * read and judged before a pixel is decoded. Throws PICTURE_INVALID.
 */
export async function decodePlanes(bytes: Buffer, bounds: PictureBounds = {}): Promise<PlanarFrame> {
  const head = bytes.toString('latin1', 0, 16);
  const format = SIGNATURES.find(({ pattern }) => pattern.test(head))?.format;
  const formats = bounds.formats ?? SIGNATURES.map((signature) => signature.format);
  if (format === undefined || !formats.includes(format)) {
    throw new PackageError(
      'PICTURE_INVALID',
      `picture: ${format ?? `a file that starts with ${JSON.stringify(head.slice(0, 8))}`} is not taken; save it as ${formats.join(', ')}`,
    );
  }
  let raw: { data: Buffer; info: OutputInfo };
  try {
    raw = await sharp(bytes, { limitInputPixels: bounds.maxPixels ?? MAX_PIXELS, failOn: 'error' })
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
  bounds: PictureBounds = {},
): Promise<{ frame: PlanarFrame; content: ContentRectangle; width: number; height: number }> {
  const planes = await decodePlanes(bytes, bounds);
  return { ...makeFrameFitter(input)(planes), width: planes.width, height: planes.height };
}
