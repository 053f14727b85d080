import { describe, expect, it } from 'vitest';
import { yuv420pBytes, yuv420pToRgb } from './yuv.js';

/** BT.601 limited range in floating point, the definition. */
function reference(y: number, cb: number, cr: number): number[] {
  const grey = (255 / 219) * (y - 16);
  const scale = 255 / 224;
  return [
    grey + scale * 1.402 * (cr - 128),
    grey - scale * (0.344136 * (cb - 128) + 0.714136 * (cr - 128)),
    grey + scale * 1.772 * (cb - 128),
  ].map((value) => Math.min(255, Math.max(0, value)));
}

describe('yuv420pToRgb', () => {
  it('is within one step of the definition for every luma and chroma, extremes included', () => {
    const out = new Uint8Array(12);
    let worst = 0;
    for (let y = 0; y < 256; y += 5) {
      for (let cb = 0; cb < 256; cb += 15) {
        for (let cr = 0; cr < 256; cr += 15) {
          yuv420pToRgb(Uint8Array.of(y, y, y, y, cb, cr), 2, 2, out);
          const expected = reference(y, cb, cr);
          for (let channel = 0; channel < 3; channel++) {
            worst = Math.max(
              worst,
              Math.abs(out[channel] - expected[channel]),
              Math.abs(out[9 + channel] - out[channel]),
            );
          }
        }
      }
    }
    expect(worst).toBeLessThanOrEqual(1);
  });

  it('takes chroma from the right quarter, odd sizes included', () => {
    // 3 × 3: chroma planes 2 × 2; only the bottom right chroma sample is red.
    const view = new Uint8Array(yuv420pBytes(3, 3)).fill(128);
    expect(view.length).toBe(17);
    view[16] = 240;
    const out = new Uint8Array(27);
    yuv420pToRgb(view, 3, 3, out);
    const red = (x: number, y: number) => out[(y * 3 + x) * 3];
    expect(red(2, 2)).toBeGreaterThan(red(1, 1) + 100);
    expect([red(0, 2), red(2, 0), red(1, 1)]).toEqual([red(0, 0), red(0, 0), red(0, 0)]);
  });

  it('refuses short buffers', () => {
    expect(() => yuv420pToRgb(new Uint8Array(5), 2, 2, new Uint8Array(12))).toThrow(RangeError);
    expect(() => yuv420pToRgb(new Uint8Array(6), 2, 2, new Uint8Array(11))).toThrow(RangeError);
  });
});
