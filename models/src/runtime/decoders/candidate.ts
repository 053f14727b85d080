import type { DecoderInput } from '../decoder.js';
import type { Detection } from '../detection.js';
import type { ContentRectangle } from '../frame.js';
import { toPicture } from '../letterbox.js';

/**
 * Adds a box of the model's frame (0..1, x1 y1 x2 y2) to `found`, mapped to the picture and clipped to it; one that is
 * empty there, or no number, is left out. Scores are clipped to 1: a broken model must not send infinities on.
 */
export function addCandidate(
  found: Detection[],
  labels: DecoderInput['labels'],
  classId: number,
  score: number,
  x1: number,
  y1: number,
  x2: number,
  y2: number,
  content: ContentRectangle,
): void {
  const box = toPicture(x1, y1, x2, y2, content);
  if (!(box[2] > box[0] && box[3] > box[1])) return;
  found.push({ classId, label: labels[classId], score: Math.min(1, score), box });
}

/** The `limit` best, best first; equal scores keep their order. Sorts `found` in place. */
export function best(found: Detection[], limit: number): Detection[] {
  found.sort((a, b) => b.score - a.score);
  if (found.length > limit) found.length = limit;
  return found;
}

/** The logit whose sigmoid is `score`: -Infinity for 0, Infinity for 1. */
export function logit(score: number): number {
  return Math.log(score / (1 - score));
}

export function sigmoid(value: number): number {
  return 1 / (1 + Math.exp(-value));
}

/**
 * Softmax of `count` values from `start` into `into`. Stable for values of any size; a value that is no
 * number makes all of them NaN.
 */
export function softmax(values: Float32Array, start: number, count: number, into: Float64Array): void {
  let highest = -Infinity;
  for (let i = 0; i < count; i++) if (values[start + i] > highest) highest = values[start + i];
  let sum = 0;
  for (let i = 0; i < count; i++) {
    into[i] = Math.exp(values[start + i] - highest);
    sum += into[i];
  }
  for (let i = 0; i < count; i++) into[i] /= sum;
}
