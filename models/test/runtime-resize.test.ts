import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import type { InputSpec } from '../src/package/manifest.js';
import { decodePicture, decodePlanes } from '../src/package/picture.js';
import { makePlaneResizer } from '../src/runtime/resize.js';
import { YARD_STILLS } from './package-fixture.js';

const still = () => readFile(join(YARD_STILLS, 'still_00.jpg'));

function resize(source: Uint8Array, [sw, sh]: [number, number], [tw, th]: [number, number]): Uint8Array {
  const target = new Uint8Array(tw * th);
  makePlaneResizer(sw, sh, tw, th).run(source, 0, target, 0, tw);
  return target;
}

function difference(a: Uint8Array, b: Uint8Array): { mean: number; max: number } {
  let sum = 0;
  let max = 0;
  for (let i = 0; i < a.length; i++) {
    const d = Math.abs(a[i] - b[i]);
    sum += d;
    max = Math.max(max, d);
  }
  return { mean: sum / a.length, max };
}

describe('makePlaneResizer', () => {
  it('averages what it shrinks', () => {
    expect([...resize(Uint8Array.from([0, 10, 20, 30, 40, 50, 60, 70]), [4, 2], [2, 1])]).toEqual([25, 45]);
    // Three samples to two: the middle one is halved between both.
    expect([...resize(Uint8Array.from([0, 90, 180]), [3, 1], [2, 1])]).toEqual([30, 150]);
  });

  it('interpolates what it grows, between sample centres', () => {
    expect([...resize(Uint8Array.from([0, 100]), [2, 1], [4, 1])]).toEqual([0, 25, 75, 100]);
    expect([...resize(Uint8Array.from([0, 100]), [1, 2], [1, 4])]).toEqual([0, 25, 75, 100]);
  });

  it('keeps a flat picture flat for any pair of sizes, white included', () => {
    for (const value of [0, 1, 128, 254, 255]) {
      for (const [from, to] of [
        [
          [1, 1],
          [7, 5],
        ],
        [
          [640, 3],
          [320, 7],
        ],
        [
          [37, 91],
          [13, 200],
        ],
        [
          [333, 77],
          [320, 64],
        ],
      ] as const) {
        const result = resize(new Uint8Array(from[0] * from[1]).fill(value), [...from], [...to]);
        expect(new Set(result)).toEqual(new Set([value]));
      }
    }
  });

  it('agrees with a brute-force area mean', () => {
    const [sw, sh, tw, th] = [53, 31, 20, 9];
    const source = Uint8Array.from({ length: sw * sh }, (_, i) => (i * 7919) % 251);
    const result = resize(source, [sw, sh], [tw, th]);
    for (let y = 0; y < th; y++) {
      for (let x = 0; x < tw; x++) {
        let sum = 0;
        let area = 0;
        for (let v = 0; v < sh; v++) {
          const h = Math.min((y + 1) * (sh / th), v + 1) - Math.max(y * (sh / th), v);
          if (h <= 0) continue;
          for (let u = 0; u < sw; u++) {
            const w = Math.min((x + 1) * (sw / tw), u + 1) - Math.max(x * (sw / tw), u);
            if (w <= 0) continue;
            sum += w * h * source[v * sw + u];
            area += w * h;
          }
        }
        expect(Math.abs(result[y * tw + x] - sum / area)).toBeLessThanOrEqual(0.51);
      }
    }
  });

  // Not compared with sharp, whose growing pictures stand half an output pixel further right and down.
  it('agrees with a brute-force bilinear interpolation', () => {
    const [sw, sh, tw, th] = [13, 9, 41, 30];
    const source = Uint8Array.from({ length: sw * sh }, (_, i) => (i * 7919) % 251);
    const result = resize(source, [sw, sh], [tw, th]);
    const at = (u: number, v: number) =>
      source[Math.min(sh - 1, Math.max(0, v)) * sw + Math.min(sw - 1, Math.max(0, u))];
    for (let y = 0; y < th; y++) {
      for (let x = 0; x < tw; x++) {
        const [fx, fy] = [(x + 0.5) * (sw / tw) - 0.5, (y + 0.5) * (sh / th) - 0.5];
        const [u, v] = [Math.floor(fx), Math.floor(fy)];
        const above = at(u, v) * (1 - fx + u) + at(u + 1, v) * (fx - u);
        const below = at(u, v + 1) * (1 - fx + u) + at(u + 1, v + 1) * (fx - u);
        expect(Math.abs(result[y * tw + x] - (above * (1 - fy + v) + below * (fy - v)))).toBeLessThanOrEqual(0.51);
      }
    }
  });

  it.each<[string, [number, number]]>([
    ['shrinking', [320, 320]],
    ['shrinking by two', [320, 180]],
  ])('agrees with sharp when %s', async (_name, [width, height]) => {
    const planes = await decodePlanes(await still());
    const size = planes.width * planes.height;
    const options = { raw: { width: planes.width, height: planes.height, channels: 1 as const } };
    for (let plane = 0; plane < 3; plane++) {
      const source = planes.data.slice(plane * size, (plane + 1) * size);
      const reference = await sharp(source, options)
        .resize(width, height, { fit: 'fill', kernel: 'linear', fastShrinkOnLoad: false })
        .toColourspace('b-w')
        .raw()
        .toBuffer();
      const { mean } = difference(resize(source, [planes.width, planes.height], [width, height]), reference);
      expect(reference.length).toBe(width * height);
      // Sharp shrinks by a triangle filter, ours by area: they part at edges and noise only.
      expect(mean).toBeLessThan(2.5);
    }
  });
});

describe('decodePicture', () => {
  const input: InputSpec = {
    name: 'image',
    width: 32,
    height: 32,
    layout: 'NCHW',
    color: 'RGB',
    dtype: 'float32',
    resize: 'letterbox',
    pad: 114,
  };
  const plain = (background: string, width = 64, height = 32) =>
    sharp({ create: { width, height, channels: 3, background } });

  it('gives G, B, R planes, letterboxed', async () => {
    const bytes = await plain('rgb(200, 100, 50)').png().toBuffer();
    const { frame, content, width, height } = await decodePicture(bytes, input);
    expect({ width, height, content }).toEqual({
      width: 64,
      height: 32,
      content: { x: 0, y: 0.25, width: 1, height: 0.5 },
    });
    const middle = 16 * 32 + 16;
    expect([0, 1, 2].map((plane) => frame.data[plane * 1024 + middle])).toEqual([100, 50, 200]);
    expect([0, 1, 2].map((plane) => frame.data[plane * 1024])).toEqual([114, 114, 114]);
  });

  it('turns a picture upright by its EXIF orientation', async () => {
    const bytes = await plain('red').jpeg().withMetadata({ orientation: 6 }).toBuffer();
    expect(await decodePicture(bytes, input)).toMatchObject({ width: 32, height: 64 });
  });

  it('reads grey, 16-bit and transparent pictures', async () => {
    const grey = await plain('rgb(80, 80, 80)').toColourspace('b-w').png().toBuffer();
    expect(new Set((await decodePicture(grey, { ...input, resize: 'stretch' })).frame.data)).toEqual(new Set([80]));
    const deep = await plain('rgb(80, 80, 80)').toColourspace('rgb16').png().toBuffer();
    expect(new Set((await decodePicture(deep, { ...input, resize: 'stretch' })).frame.data)).toEqual(new Set([80]));
    const clear = await sharp({ create: { width: 8, height: 8, channels: 4, background: 'rgba(255,255,255,0)' } })
      .png()
      .toBuffer();
    expect(new Set((await decodePicture(clear, { ...input, resize: 'stretch' })).frame.data)).toEqual(new Set([0]));
  });

  it('refuses what is no picture, and a picture that is cut off', async () => {
    await expect(decodePicture(Buffer.from('not a picture'), input)).rejects.toMatchObject({ code: 'PICTURE_INVALID' });
    await expect(decodePicture(Buffer.alloc(0), input)).rejects.toMatchObject({ code: 'PICTURE_INVALID' });
    const whole = await still();
    await expect(decodePicture(whole.subarray(0, whole.length / 2), input)).rejects.toMatchObject({
      code: 'PICTURE_INVALID',
    });
  });
});
