import { describe, expect, it } from 'vitest';
import { hasInk, textWidth } from './font.js';
import { type Annotation, drawAnnotation, drawNoSignal, statusLine } from './overlay.js';
import { drawText, fillPolygon, type Raster, strokeBox } from './raster.js';

function blank(width: number, height: number, value = 100): Raster {
  return { data: new Uint8Array(3 * width * height).fill(value), width, height };
}

const pixel = ({ data, width }: Raster, x: number, y: number) => [
  ...data.subarray((y * width + x) * 3, (y * width + x) * 3 + 3),
];
const picture = (raster: Raster, ink: number) =>
  Array.from({ length: raster.height }, (_, y) =>
    Array.from({ length: raster.width }, (_, x) => (pixel(raster, x, y)[0] === ink ? '#' : '.')).join(''),
  );

const ANNOTATION: Annotation = {
  sequence: 3,
  capturedAtMs: 0,
  digest: null,
  status: '',
  tracks: [{ id: 1, label: 'person', score: 0.5, box: [0.25, 0.25, 0.75, 0.75] }],
};

describe('font', () => {
  it('draws letters that can be read', () => {
    const raster = blank(11, 7, 0);
    drawText(raster, 'R2', 0, 0, 1, [9, 9, 9]);
    expect(picture(raster, 9)).toEqual([
      '####...###.',
      '#...#.#...#',
      '#...#.....#',
      '####.....#.',
      '#.#.....#..',
      '#..#...#...',
      '#...#.#####',
    ]);
  });

  it('has ink for every printable character, and shows the others as a question mark', () => {
    for (let code = 0x21; code <= 0x7e; code++) {
      let ink = 0;
      for (let column = 0; column < 5; column++)
        for (let row = 0; row < 7; row++) ink += hasInk(code, column, row) ? 1 : 0;
      expect(ink, String.fromCharCode(code)).toBeGreaterThan(1);
    }
    expect(hasInk(0x20ac, 1, 0)).toBe(hasInk(0x3f, 1, 0));
    expect(textWidth('ab', 2)).toBe(22);
  });
});

describe('raster', () => {
  it('fills a polygon by the even-odd rule and clips it', () => {
    const raster = blank(6, 4, 0);
    fillPolygon(
      raster,
      [
        [-3, 1],
        [3, 1],
        [3, 9],
        [-3, 9],
      ],
      [9, 9, 9],
    );
    expect(picture(raster, 9)).toEqual(['......', '###...', '###...', '###...']);
  });

  it('strokes a box inside its bounds', () => {
    const raster = blank(6, 5, 0);
    strokeBox(raster, [1, 1, 5, 4], 1, [9, 9, 9]);
    expect(picture(raster, 9)).toEqual(['......', '.####.', '.#..#.', '.####.', '......']);
  });
});

describe('drawAnnotation', () => {
  it('draws a box where the track is and leaves the rest alone', () => {
    const raster = blank(640, 360);
    drawAnnotation(raster, ANNOTATION);
    expect(pixel(raster, 160, 180)).not.toEqual([100, 100, 100]);
    expect(pixel(raster, 478, 180)).not.toEqual([100, 100, 100]);
    expect(pixel(raster, 320, 180)).toEqual([100, 100, 100]);
    expect(pixel(raster, 20, 20)).toEqual([100, 100, 100]);
  });

  it('hides what is masked, under the boxes', () => {
    const raster = blank(640, 360, 255);
    drawAnnotation(raster, {
      ...ANNOTATION,
      masks: [
        [
          [0, 0],
          [0.5, 0],
          [0.5, 1],
          [0, 1],
        ],
      ],
    });
    expect(Math.max(...pixel(raster, 300, 180))).toBeLessThan(60);
    expect(pixel(raster, 340, 180)).toEqual([255, 255, 255]);
    expect(pixel(raster, 160, 180)).toEqual(pixel(raster, 478, 180));
  });

  it('stays inside the picture whatever the boxes are', () => {
    const raster = blank(64, 36);
    const wild: Annotation['tracks'] = [
      { id: 1, label: 'x'.repeat(100), score: 1, box: [-1, -1, 2, 2] },
      { id: 2, label: '', score: 0, box: [0.99, 0.99, 1, 1], coasting: true },
    ];
    expect(() => drawAnnotation(raster, { ...ANNOTATION, tracks: wild, status: 'y'.repeat(500) })).not.toThrow();
    expect(raster.data.length).toBe(64 * 36 * 3);
  });

  it('says when there is no signal and no model', () => {
    const raster = blank(320, 180, 200);
    drawNoSignal(raster, 'connection refused', 'now');
    expect(raster.data.some((value) => value > 200)).toBe(true);
    expect(pixel(raster, 2, 2)).not.toEqual([200, 200, 200]);
    expect(statusLine(null, 0, 4)).toBe('no model | 0.0 fps | #4');
    expect(statusLine({ name: 'm', version: '1.0.0', precision: 'int8' }, 9.96, 12)).toBe(
      'm 1.0.0 int8 | 10.0 fps | #12',
    );
  });
});
