import type { Box } from '@vigie/models/runtime/detection';
import { GLYPH_HEIGHT, textWidth } from './font.js';
import { type Color, drawText, fillPolygon, fillRectangle, type Raster, shadeRectangle, strokeBox } from './raster.js';
import { isWholeFrame } from './whole-frame.js';

/** What is drawn on a frame, and what its viewers are told of it. */
export interface Annotation {
  sequence: number;
  /** Wall clock of the frame's arrival, ms since 1970. */
  capturedAtMs: number;
  /** Digest of the model that detected on the frame; null before there is one. */
  digest: string | null;
  tracks: readonly { id: number; label: string; score: number; box: Box; coasting?: boolean }[];
  /** One line at the bottom; see `statusLine`. */
  status: string;
  /** Polygons whose inside nobody may see: vertices [x, y], 0..1 of the frame. */
  masks?: readonly (readonly (readonly [number, number])[])[];
}

const WHITE: Color = [245, 247, 250];
const BLACK: Color = [12, 14, 18];
const MASK: Color = [24, 26, 30];
/** Told apart by eye, also by people who do not see red and green apart (after Okabe and Ito). */
const PALETTE: readonly Color[] = [
  [86, 180, 233],
  [230, 159, 0],
  [0, 190, 140],
  [240, 228, 66],
  [213, 110, 30],
  [204, 121, 167],
];

/** `person-detector 1.1.0 int8 | 10.0 fps | #123`; says so when no model runs. */
export function statusLine(
  model: { name: string; version: string; precision: string } | null,
  fps: number,
  sequence: number,
): string {
  const name = model === null ? 'no model' : `${model.name} ${model.version} ${model.precision}`;
  return `${name} | ${fps.toFixed(1)} fps | #${sequence}`;
}

/** Draws masks first, then boxes with labels (those of a whole picture as a list at its top left), then the status line. */
export function drawAnnotation(raster: Raster, annotation: Annotation): void {
  const { width, height } = raster;
  for (const mask of annotation.masks ?? []) {
    fillPolygon(
      raster,
      mask.map(([x, y]) => [x * width, y * height] as const),
      MASK,
    );
  }
  const scale = textScale(height);
  const thickness = Math.max(2, Math.round(height / 240));
  let row = 0;
  for (const track of annotation.tracks) {
    const color = PALETTE[track.id % PALETTE.length];
    const percent = `${Math.round(track.score * 100)}%`;
    if (isWholeFrame(track.box)) {
      drawTag(raster, `${track.label} ${percent}`, 0, row * tagHeight(scale), scale, color);
      row += 1;
      continue;
    }
    const [x1, y1, x2, y2] = track.box;
    const box = [x1 * width, y1 * height, x2 * width, y2 * height] as const;
    strokeBox(raster, box, thickness, color, track.coasting ? 6 : 0);
    drawLabel(raster, `${track.label} #${track.id} ${percent}`, box, scale, color);
  }
  drawStatus(raster, annotation.status, scale);
}

/** A dark picture that says why there is none. */
export function drawNoSignal(raster: Raster, text: string, status: string): void {
  fillRectangle(raster, 0, 0, raster.width, raster.height, BLACK);
  const title = 'NO SIGNAL';
  const large = 2 * textScale(raster.height);
  const small = textScale(raster.height);
  const middle = Math.round(raster.height / 2);
  drawText(
    raster,
    title,
    Math.round((raster.width - textWidth(title, large)) / 2),
    middle - (GLYPH_HEIGHT + 2) * large,
    large,
    WHITE,
  );
  const fits = fit(text, raster.width, small);
  drawText(
    raster,
    fits,
    Math.round((raster.width - textWidth(fits, small)) / 2),
    middle + 2 * small,
    small,
    PALETTE[1],
  );
  drawStatus(raster, status, small);
}

function drawLabel(
  raster: Raster,
  text: string,
  box: readonly [number, number, number, number],
  scale: number,
  color: Color,
): void {
  const labelHeight = tagHeight(scale);
  // Above the box where there is room, inside it otherwise.
  const y = box[1] >= labelHeight ? Math.round(box[1]) - labelHeight : Math.max(0, Math.round(box[1]));
  drawTag(raster, text, Math.round(box[0]), y, scale, color);
}

function tagHeight(scale: number): number {
  return GLYPH_HEIGHT * scale + 4 * scale;
}

/** Text on a coloured ground, moved left where the picture ends. */
function drawTag(raster: Raster, text: string, left: number, y: number, scale: number, color: Color): void {
  const pad = 2 * scale;
  const width = textWidth(text, scale) + 2 * pad;
  const x = Math.max(0, Math.min(left, raster.width - width));
  fillRectangle(raster, x, y, x + width, y + tagHeight(scale), color);
  drawText(raster, text, x + pad, y + pad, scale, BLACK);
}

function drawStatus(raster: Raster, text: string, scale: number): void {
  if (text === '') return;
  const pad = 3 * scale;
  const top = raster.height - GLYPH_HEIGHT * scale - 2 * pad;
  shadeRectangle(raster, 0, top, raster.width, raster.height);
  drawText(raster, fit(text, raster.width - 2 * pad, scale), pad, top + pad, scale, WHITE);
}

function fit(text: string, width: number, scale: number): string {
  let end = text.length;
  while (end > 0 && textWidth(text.slice(0, end), scale) > width) end--;
  return text.slice(0, end);
}

function textScale(height: number): number {
  return Math.max(1, Math.round(height / 360));
}
