import { type Box, type Detection, intersectionOverUnion } from '@vigie/models/runtime/detection';
import type { Agreement } from '@vigie/protocol';
import { quantile } from './quantile.js';

/** Two boxes of the same label show the same thing from this overlap on: the usual mark (Pascal VOC, COCO's AP50). */
export const MATCH_IOU = 0.5;

/** Times kept for a percentile: the newest, so that a run of days stays small. */
const KEPT_TIMES = 4096;

/** What one model says of a frame, and how long it took. */
export interface ModelView {
  detections: readonly Detection[];
  /** Time in the child, ms. */
  childMs: number;
}

/** A box of each model that show the same thing. */
export interface Match {
  candidate: Detection;
  reference: Detection;
}

/**
 * Pairs the boxes of two models on one frame: the pair with the greatest overlap first, each box at most once, only within a
 * label and from MATCH_IOU on. Neither model is taken for the truth, so unlike the matching of COCO's evaluation (pycocotools,
 * `evaluateImg`: greedy in order of the score of the one that is judged) scores play no part and the result does not depend on
 * which model is called the candidate. A classifier's boxes are the whole frame: its matches are the labels both name.
 */
export function matchDetections(candidate: readonly Detection[], reference: readonly Detection[]): Match[] {
  const pairs: (Match & { iou: number })[] = [];
  for (const a of candidate) {
    for (const b of reference) {
      if (a.label !== b.label) continue;
      const iou = overlap(a.box, b.box);
      if (iou >= MATCH_IOU) pairs.push({ candidate: a, reference: b, iou });
    }
  }
  // Equal overlaps keep the order in which the models gave their boxes.
  pairs.sort((a, b) => b.iou - a.iou);
  const taken = new Set<Detection>();
  return pairs.flatMap(({ candidate: a, reference: b }) => {
    if (taken.has(a) || taken.has(b)) return [];
    taken.add(a).add(b);
    return [{ candidate: a, reference: b }];
  });
}

/** Sums up how far a candidate and a reference agree, frame by frame. */
export class AgreementMeter {
  private frames = 0;
  private candidateBoxes = 0;
  private referenceBoxes = 0;
  private matchedBoxes = 0;
  private drift = 0;
  private readonly candidateMs: number[] = [];
  private readonly referenceMs: number[] = [];

  /** Takes what both say of one frame; detections that are too weak to count are left out by the caller. Returns the matches. */
  add(candidate: ModelView, reference: ModelView): Match[] {
    const matches = matchDetections(candidate.detections, reference.detections);
    const slot = this.frames % KEPT_TIMES;
    this.candidateMs[slot] = candidate.childMs;
    this.referenceMs[slot] = reference.childMs;
    this.frames += 1;
    this.candidateBoxes += candidate.detections.length;
    this.referenceBoxes += reference.detections.length;
    this.matchedBoxes += matches.length;
    for (const match of matches) this.drift += match.candidate.score - match.reference.score;
    return matches;
  }

  /** Null before the first frame. */
  get agreement(): Agreement | null {
    const { frames, candidateBoxes, referenceBoxes, matchedBoxes } = this;
    if (frames === 0) return null;
    const boxes = candidateBoxes + referenceBoxes;
    return {
      frames,
      candidateBoxes,
      referenceBoxes,
      matchedBoxes,
      agreement: boxes === 0 ? 1 : (2 * matchedBoxes) / boxes,
      scoreDrift: matchedBoxes === 0 ? 0 : Math.max(-1, Math.min(1, this.drift / matchedBoxes)),
      candidateP95Ms: quantile(this.candidateMs, 0.95),
      referenceP95Ms: quantile(this.referenceMs, 0.95),
    };
  }
}

/** IoU, and 1 for equal boxes even where they are empty. */
function overlap(a: Box, b: Box): number {
  return a.every((value, index) => value === b[index]) ? 1 : intersectionOverUnion(a, b);
}
