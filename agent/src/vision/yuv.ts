/**
 * BT.601 limited range (ITU-R BT.601-7, Y 16..235, C 16..240) in fixed point with `BITS` fraction bits. The products
 * per sample come from tables, and so does the clamping to 0..255: the inner loop only looks up, adds and shifts.
 */
const BITS = 16;
const LUMA = new Int32Array(256);
const RED_FROM_CR = new Int32Array(256);
const GREEN_FROM_CR = new Int32Array(256);
const GREEN_FROM_CB = new Int32Array(256);
const BLUE_FROM_CB = new Int32Array(256);
for (let value = 0; value < 256; value++) {
  LUMA[value] = Math.round(1.164384 * (value - 16) * 2 ** BITS) + 2 ** (BITS - 1);
  RED_FROM_CR[value] = Math.round(1.596027 * (value - 128) * 2 ** BITS);
  GREEN_FROM_CR[value] = Math.round(-0.812968 * (value - 128) * 2 ** BITS);
  GREEN_FROM_CB[value] = Math.round(-0.391762 * (value - 128) * 2 ** BITS);
  BLUE_FROM_CB[value] = Math.round(2.017232 * (value - 128) * 2 ** BITS);
}

/** Index: a value -320..703 plus CLAMP_OFFSET (the extremes of the sums above are -277 and 535). */
const CLAMP_OFFSET = 320;
const CLAMP = new Uint8Array(1024);
for (let index = 0; index < CLAMP.length; index++) CLAMP[index] = Math.min(255, Math.max(0, index - CLAMP_OFFSET));
/** Folded into the luma table, so that sums index CLAMP directly. */
for (let value = 0; value < 256; value++) LUMA[value] += CLAMP_OFFSET << BITS;

/** Bytes of a yuv420p picture as ffmpeg writes it; chroma planes of odd sizes are rounded up. */
export function yuv420pBytes(width: number, height: number): number {
  return width * height + 2 * ((width + 1) >> 1) * ((height + 1) >> 1);
}

/**
 * Converts planar yuv420p to packed RGB; allocates nothing.
 * @param view Y, Cb, Cr planes without row padding, `yuv420pBytes(width, height)` bytes.
 * @param out at least 3 × width × height bytes.
 * @throws RangeError when a buffer is too short.
 */
export function yuv420pToRgb(view: Uint8Array, width: number, height: number, out: Uint8Array): void {
  if (view.length < yuv420pBytes(width, height))
    throw new RangeError(`view: ${view.length} bytes for ${width}x${height}`);
  if (out.length < 3 * width * height) throw new RangeError(`out: ${out.length} bytes for ${width}x${height}`);
  const chromaWidth = (width + 1) >> 1;
  const cbPlane = width * height;
  const crPlane = cbPlane + chromaWidth * ((height + 1) >> 1);
  const pairs = width >> 1;
  for (let y = 0; y < height; y++) {
    let luma = y * width;
    let target = luma * 3;
    let cb = cbPlane + (y >> 1) * chromaWidth;
    let cr = crPlane + (y >> 1) * chromaWidth;
    for (let pair = 0; pair < pairs; pair++, cb++, cr++, luma += 2, target += 6) {
      const u = view[cb];
      const v = view[cr];
      const red = RED_FROM_CR[v];
      const green = GREEN_FROM_CR[v] + GREEN_FROM_CB[u];
      const blue = BLUE_FROM_CB[u];
      const left = LUMA[view[luma]];
      const right = LUMA[view[luma + 1]];
      out[target] = CLAMP[(left + red) >> BITS];
      out[target + 1] = CLAMP[(left + green) >> BITS];
      out[target + 2] = CLAMP[(left + blue) >> BITS];
      out[target + 3] = CLAMP[(right + red) >> BITS];
      out[target + 4] = CLAMP[(right + green) >> BITS];
      out[target + 5] = CLAMP[(right + blue) >> BITS];
    }
    if ((width & 1) === 1) {
      const grey = LUMA[view[luma]];
      out[target] = CLAMP[(grey + RED_FROM_CR[view[cr]]) >> BITS];
      out[target + 1] = CLAMP[(grey + GREEN_FROM_CR[view[cr]] + GREEN_FROM_CB[view[cb]]) >> BITS];
      out[target + 2] = CLAMP[(grey + BLUE_FROM_CB[view[cb]]) >> BITS];
    }
  }
}
