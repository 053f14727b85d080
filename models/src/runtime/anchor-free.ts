import type { Detection } from './detection.js';
import type { ContentRectangle } from './frame.js';
import { toPicture } from './letterbox.js';

/** What a decoder must know of the model. */
export interface AnchorFreeHead {
  /** Pixels of the model's frame. */
  width: number;
  height: number;
  /** Pixels per cell, in the order of the outputs' rows. */
  strides: readonly number[];
  labels: readonly string[];
  /** Lowest score kept, per class id. */
  thresholds: readonly number[];
}

/** Turns one frame's outputs into candidates above their thresholds, boxes 0..1 of the picture at `content`. */
export type AnchorFreeDecoder = (
  logits: Float32Array,
  distances: Float32Array,
  content: ContentRectangle,
) => Detection[];

/** Locations of a head: the sum over its strides s of (width / s) × (height / s). */
export function locationCount(head: Pick<AnchorFreeHead, 'width' | 'height' | 'strides'>): number {
  return head.strides.reduce((sum, stride) => sum + (head.width / stride) * (head.height / stride), 0);
}

/**
 * Makes the decoder of our own anchor-free head. Per location, stride by stride and row by row: `logits` `[1, N, C]`,
 * score = 1 / (1 + exp(-logit)); `distances` `[1, N, 4]` = l, t, r, b from the cell's centre (x + 0.5, y + 0.5) to the
 * box's sides in units of the stride. Each location gives its best class at most. Boxes are clipped to the picture
 * before suppression, as in the figures of the source: models/training/README.md, "Using the model".
 * Not a number, and boxes that are empty or outside the picture, are left out.
 */
export function makeAnchorFreeDecoder(head: AnchorFreeHead): AnchorFreeDecoder {
  const { width, height, strides, labels, thresholds } = head;
  const classes = labels.length;
  // Compared as logits: one comparison for each of the 99 % of locations that hold nothing, no exponential.
  const lowest = Float64Array.from(thresholds, (score) => Math.log(score / (1 - score)));
  return (logits, distances, content) => {
    const found: Detection[] = [];
    let location = 0;
    for (const stride of strides) {
      const columns = width / stride;
      const rows = height / stride;
      for (let y = 0; y < rows; y++) {
        for (let x = 0; x < columns; x++, location++) {
          let classId = -1;
          let best = -Infinity;
          for (let c = 0; c < classes; c++) {
            const logit = logits[location * classes + c];
            if (logit >= lowest[c] && logit > best) {
              best = logit;
              classId = c;
            }
          }
          if (classId < 0) continue;
          const d = location * 4;
          const box = toPicture(
            ((x + 0.5 - distances[d]) * stride) / width,
            ((y + 0.5 - distances[d + 1]) * stride) / height,
            ((x + 0.5 + distances[d + 2]) * stride) / width,
            ((y + 0.5 + distances[d + 3]) * stride) / height,
            content,
          );
          if (!(box[2] > box[0] && box[3] > box[1])) continue;
          found.push({ classId, label: labels[classId], score: 1 / (1 + Math.exp(-best)), box });
        }
      }
    }
    return found;
  };
}
