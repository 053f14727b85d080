import { describe, expect, it } from 'vitest';
import type { InputSpec } from '../package/manifest.js';
import { makeFrameFitter } from './fit-frame.js';
import { letterbox } from './letterbox.js';
import { makePreprocessor } from './preprocess.js';

const INPUT: InputSpec = {
  name: 'image',
  width: 2,
  height: 2,
  layout: 'NCHW',
  color: 'RGB',
  dtype: 'float32',
  resize: 'stretch',
};
const [G, B, R] = [
  [1, 2, 3, 4],
  [11, 12, 13, 14],
  [21, 22, 23, 24],
];
const PLANES = Uint8Array.from([...G, ...B, ...R]);

const tensor = (input: InputSpec): number[] => {
  const preprocessor = makePreprocessor(input);
  preprocessor.write(PLANES);
  return [...preprocessor.data];
};

describe('makePreprocessor', () => {
  it('orders planes by colour', () => {
    expect(tensor(INPUT)).toEqual([...R, ...G, ...B]);
    expect(tensor({ ...INPUT, color: 'BGR' })).toEqual([...B, ...G, ...R]);
    expect(tensor({ ...INPUT, dtype: 'uint8' })).toEqual([...R, ...G, ...B]);
  });

  it('interleaves for NHWC', () => {
    const interleaved = [0, 1, 2, 3].flatMap((i) => [R[i], G[i], B[i]]);
    expect(tensor({ ...INPUT, layout: 'NHWC' })).toEqual(interleaved);
    expect(makePreprocessor({ ...INPUT, layout: 'NHWC' }).dims).toEqual([1, 2, 2, 3]);
  });

  it('subtracts the mean and divides by the deviation of each channel', () => {
    const values = tensor({ ...INPUT, mean: [1, 2, 3], std: [2, 4, 8] });
    expect(values.slice(0, 4)).toEqual(R.map((value) => (value - 1) / 2));
    expect(values.slice(4, 8)).toEqual(G.map((value) => (value - 2) / 4));
    expect(values.slice(8)).toEqual(B.map((value) => (value - 3) / 8));
  });

  it('gives the same numbers by the fast path and by the table', () => {
    const fast = tensor(INPUT);
    const slow = tensor({ ...INPUT, mean: [0, 0, 0], std: [0.5, 0.5, 0.5] });
    expect(slow.map((value) => value / 2)).toEqual(fast);
  });

  it('is (pixel - mean) / std in every layout, colour and type', () => {
    const [mean, std] = [
      [103.53, 116.28, 123.675],
      [57.375, 57.12, 58.395],
    ];
    for (const layout of ['NCHW', 'NHWC'] as const) {
      for (const color of ['RGB', 'BGR'] as const) {
        const planes = color === 'RGB' ? [R, G, B] : [B, G, R];
        const at = (channel: number, pixel: number): number => planes[channel][pixel];
        const order = (value: (channel: number, pixel: number) => number): number[] =>
          layout === 'NCHW'
            ? [0, 1, 2].flatMap((channel) => [0, 1, 2, 3].map((pixel) => value(channel, pixel)))
            : [0, 1, 2, 3].flatMap((pixel) => [0, 1, 2].map((channel) => value(channel, pixel)));
        const base = { ...INPUT, layout, color };
        expect(tensor(base)).toEqual(order(at));
        expect(tensor({ ...base, dtype: 'uint8' })).toEqual(order(at));
        expect(tensor({ ...base, mean, std })).toEqual(
          order((channel, pixel) => Math.fround((at(channel, pixel) - mean[channel]) / std[channel])),
        );
      }
    }
  });

  it('makes bytes for a uint8 input: no float pass before the model', () => {
    for (const layout of ['NCHW', 'NHWC'] as const) {
      expect(makePreprocessor({ ...INPUT, layout, dtype: 'uint8' }).data).toBeInstanceOf(Uint8Array);
    }
  });

  it('writes into the same memory every time', () => {
    const preprocessor = makePreprocessor(INPUT);
    const { data } = preprocessor;
    preprocessor.write(PLANES);
    preprocessor.write(new Uint8Array(12));
    expect(preprocessor.data).toBe(data);
    expect([...data]).toEqual(new Array(12).fill(0));
  });
});

describe('letterbox', () => {
  it('keeps the shape and centres it', () => {
    expect(letterbox(640, 360, 320, 320)).toEqual({ x: 0, y: 70, width: 320, height: 180 });
    expect(letterbox(360, 640, 320, 320)).toEqual({ x: 70, y: 0, width: 180, height: 320 });
    expect(letterbox(100, 100, 320, 320)).toEqual({ x: 0, y: 0, width: 320, height: 320 });
    expect(letterbox(4096, 1, 320, 320)).toEqual({ x: 0, y: 159, width: 320, height: 1 });
  });

  it('stands at the top left when asked: the border is to the right or below', () => {
    expect(letterbox(640, 360, 320, 320, 'top-left')).toEqual({ x: 0, y: 0, width: 320, height: 180 });
    expect(letterbox(360, 640, 320, 320, 'top-left')).toEqual({ x: 0, y: 0, width: 180, height: 320 });
  });
});

describe('makeFrameFitter', () => {
  const frame = { width: 8, height: 4, data: new Uint8Array(96).fill(100, 0, 32).fill(150, 32, 64).fill(200, 64) };

  it('lets a frame of the right size pass as it is', () => {
    const fit = makeFrameFitter({ width: 8, height: 4, resize: 'letterbox', pad: 9 });
    expect(fit(frame)).toEqual({ frame, content: { x: 0, y: 0, width: 1, height: 1 } });
    expect(fit(frame).frame).toBe(frame);
  });

  it('letterboxes with the pad value in every plane', () => {
    const { frame: fitted, content } = makeFrameFitter({ width: 4, height: 4, resize: 'letterbox', pad: 9 })(frame);
    expect(content).toEqual({ x: 0, y: 0.25, width: 1, height: 0.5 });
    const rows = [...fitted.data]
      .map(String)
      .join(' ')
      .match(/(\d+ ?){4}/g)!
      .map((row) => row.trim());
    const plane = (value: number) => ['9 9 9 9', `${value} `.repeat(4).trim(), `${value} `.repeat(4).trim(), '9 9 9 9'];
    expect(rows).toEqual([...plane(100), ...plane(150), ...plane(200)]);
  });

  it('letterboxes at the top left', () => {
    const fit = makeFrameFitter({ width: 4, height: 4, resize: 'letterbox', pad: 9, anchor: 'top-left' });
    const { frame: fitted, content } = fit(frame);
    expect(content).toEqual({ x: 0, y: 0, width: 1, height: 0.5 });
    const plane = (value: number) => [...new Array(8).fill(value), ...new Array(8).fill(9)];
    expect([...fitted.data]).toEqual([...plane(100), ...plane(150), ...plane(200)]);
  });

  it('stretches over the whole frame, and takes frames of changing size', () => {
    const fit = makeFrameFitter({ width: 4, height: 4, resize: 'stretch' });
    expect(fit(frame).content).toEqual({ x: 0, y: 0, width: 1, height: 1 });
    expect(new Set(fit(frame).frame.data)).toEqual(new Set([100, 150, 200]));
    const small = { width: 2, height: 2, data: new Uint8Array(12).fill(7) };
    expect(new Set(fit(small).frame.data)).toEqual(new Set([7]));
    expect(new Set(fit(frame).frame.data)).toEqual(new Set([100, 150, 200]));
  });
});
