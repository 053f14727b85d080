import { CELL_WIDTH, GLYPH_HEIGHT, GLYPH_WIDTH, hasInk } from './font.js';

/** Red, green, blue, 0..255. */
export type Color = readonly [number, number, number];

/** A packed RGB picture, 3 × width × height bytes, drawn into in place. Everything is clipped to it. */
export interface Raster {
  data: Uint8Array;
  width: number;
  height: number;
}

/** Fills pixels x1 ≤ x < x2, y1 ≤ y < y2. */
export function fillRectangle(raster: Raster, x1: number, y1: number, x2: number, y2: number, color: Color): void {
  const left = Math.max(0, Math.round(x1));
  const right = Math.min(raster.width, Math.round(x2));
  const bottom = Math.min(raster.height, Math.round(y2));
  for (let y = Math.max(0, Math.round(y1)); y < bottom; y++) fillSpan(raster, y, left, right, color);
}

/** Darkens a rectangle to a quarter of its light, so that text on it can be read. */
export function shadeRectangle(raster: Raster, x1: number, y1: number, x2: number, y2: number): void {
  const left = Math.max(0, Math.round(x1));
  const right = Math.min(raster.width, Math.round(x2));
  const bottom = Math.min(raster.height, Math.round(y2));
  for (let y = Math.max(0, Math.round(y1)); y < bottom; y++) {
    const end = (y * raster.width + right) * 3;
    for (let index = (y * raster.width + left) * 3; index < end; index++) raster.data[index] >>= 2;
  }
}

/** Outline of a box, drawn inwards. `dash` > 0: strokes and gaps of that many pixels. */
export function strokeBox(
  raster: Raster,
  box: readonly [number, number, number, number],
  thickness: number,
  color: Color,
  dash = 0,
): void {
  const x1 = Math.round(box[0]);
  const y1 = Math.round(box[1]);
  const x2 = Math.max(x1 + 1, Math.round(box[2]));
  const y2 = Math.max(y1 + 1, Math.round(box[3]));
  const step = dash > 0 ? dash : Math.max(x2 - x1, y2 - y1);
  const stride = dash > 0 ? 2 * dash : step;
  for (let x = x1; x < x2; x += stride) {
    const end = Math.min(x + step, x2);
    fillRectangle(raster, x, y1, end, y1 + thickness, color);
    fillRectangle(raster, x, y2 - thickness, end, y2, color);
  }
  for (let y = y1; y < y2; y += stride) {
    const end = Math.min(y + step, y2);
    fillRectangle(raster, x1, y, x1 + thickness, end, color);
    fillRectangle(raster, x2 - thickness, y, x2, end, color);
  }
}

/** Fills a polygon (even-odd rule, pixel centres). Vertices are pairs [x, y] in pixels. */
export function fillPolygon(raster: Raster, vertices: readonly (readonly [number, number])[], color: Color): void {
  if (vertices.length < 3) return;
  let top = raster.height;
  let bottom = 0;
  for (const [, y] of vertices) {
    top = Math.min(top, Math.floor(y));
    bottom = Math.max(bottom, Math.ceil(y));
  }
  const crossings: number[] = [];
  for (let y = Math.max(0, top); y < Math.min(raster.height, bottom); y++) {
    crossings.length = 0;
    const middle = y + 0.5;
    for (let index = 0; index < vertices.length; index++) {
      const [ax, ay] = vertices[index];
      const [bx, by] = vertices[(index + 1) % vertices.length];
      if (ay <= middle !== by <= middle) crossings.push(ax + ((middle - ay) / (by - ay)) * (bx - ax));
    }
    crossings.sort((a, b) => a - b);
    for (let pair = 0; pair + 1 < crossings.length; pair += 2) {
      fillSpan(
        raster,
        y,
        Math.max(0, Math.ceil(crossings[pair] - 0.5)),
        Math.min(raster.width, Math.ceil(crossings[pair + 1] - 0.5)),
        color,
      );
    }
  }
}

/** Writes text with its top left corner at (x, y). */
export function drawText(raster: Raster, text: string, x: number, y: number, scale: number, color: Color): void {
  for (let index = 0; index < text.length; index++) {
    const left = x + index * CELL_WIDTH * scale;
    if (left >= raster.width) return;
    const code = text.charCodeAt(index);
    for (let column = 0; column < GLYPH_WIDTH; column++) {
      for (let row = 0; row < GLYPH_HEIGHT; row++) {
        if (!hasInk(code, column, row)) continue;
        const px = left + column * scale;
        const py = y + row * scale;
        fillRectangle(raster, px, py, px + scale, py + scale, color);
      }
    }
  }
}

function fillSpan(raster: Raster, y: number, left: number, right: number, color: Color): void {
  const { data } = raster;
  const end = (y * raster.width + right) * 3;
  for (let index = (y * raster.width + left) * 3; index < end; index += 3) {
    data[index] = color[0];
    data[index + 1] = color[1];
    data[index + 2] = color[2];
  }
}
