import type { OutputTensor } from '../decoder.js';
import type { Box } from '../detection.js';
import type { ContentRectangle } from '../frame.js';

/** Test support: an object in a picture, as the decoders should give it back. */
export interface SceneObject {
  classId: number;
  score: number;
  /** 0..1 of the picture. */
  box: Box;
}

/** mulberry32: the same numbers on every run, 0..1. */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** A picture that fills the frame, or stands in a letterbox of it, centred or at the top left. */
export function randomContent(next: () => number): ContentRectangle {
  const kind = Math.floor(next() * 4);
  const share = 0.4 + 0.5 * next();
  if (kind === 0) return { x: 0, y: 0, width: 1, height: 1 };
  if (kind === 1) return { x: 0, y: (1 - share) / 2, width: 1, height: share };
  if (kind === 2) return { x: (1 - share) / 2, y: 0, width: share, height: 1 };
  return { x: 0, y: 0, width: 1, height: share };
}

/** Objects inside the picture, no score twice. */
export function randomScene(next: () => number, count: number, classes: number): SceneObject[] {
  return Array.from({ length: count }, (_, index) => {
    const [x, y] = [0.9 * next(), 0.9 * next()];
    return {
      classId: Math.floor(next() * classes),
      score: 0.3 + (0.69 * (index + 0.9 * next())) / count,
      box: [x, y, x + (1 - x) * (0.05 + 0.95 * next()), y + (1 - y) * (0.05 + 0.95 * next())],
    };
  });
}

/** A box of the picture → the same box in the model's frame, 0..1 of it. */
export function toFrame([x1, y1, x2, y2]: Box, content: ContentRectangle): [number, number, number, number] {
  return [
    content.x + x1 * content.width,
    content.y + y1 * content.height,
    content.x + x2 * content.width,
    content.y + y2 * content.height,
  ];
}

export function tensor(dims: readonly number[], values?: ArrayLike<number>): OutputTensor {
  const size = dims.reduce((product, dim) => product * dim, 1);
  return { dims, data: values === undefined ? new Float32Array(size) : Float32Array.from(values) };
}

/** Best first: how a test compares what may come in any order. */
export function byScore<T extends { score: number }>(objects: readonly T[]): T[] {
  return [...objects].sort((a, b) => b.score - a.score);
}

/** Largest difference of a score or a side between what was found and what was placed; Infinity when they are not the same objects. */
export function difference(
  found: readonly (SceneObject & { label: string })[],
  placed: readonly SceneObject[],
): number {
  if (found.length !== placed.length) return Infinity;
  const wanted = byScore(placed);
  let worst = 0;
  for (const [index, object] of byScore(found).entries()) {
    const other = wanted[index];
    if (object.classId !== other.classId) return Infinity;
    const sides = object.box.map((side, at) => Math.abs(side - other.box[at]));
    worst = Math.max(worst, Math.abs(object.score - other.score), ...sides);
    if (Number.isNaN(worst)) return Infinity;
  }
  return worst;
}
