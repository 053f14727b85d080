import { type Box, intersectionOverUnion } from '../runtime/detection.js';

/** Ground truth of a clip, as `yard.boxes.json` holds it: boxes in pixels, origin top left. */
export interface ClipTruth {
  width: number;
  height: number;
  frames: { index: number; persons: { id: number; box: number[]; visible: number }[] }[];
}

/** What was found in one frame; boxes 0..1. */
export type ScoredBox = { score: number; box: Box };

export interface ClipScore {
  recall: number;
  precision: number;
  truePositives: number;
  falsePositives: number;
  falseNegatives: number;
}

export interface ClipScoreSettings {
  /** Least overlap that counts as found; 0.5 when absent. */
  iou?: number;
  /**
   * Persons whose silhouette is less visible than this need not be found, and finding one is neither right nor wrong;
   * 0.3 when absent.
   */
  minVisible?: number;
  /** Detections below this score are left out; 0 when absent. */
  threshold?: number;
}

/**
 * Recall and precision over a clip. Detections (index = frame index) are matched one to one within each frame, best
 * score first, each to the free person it overlaps most. Ratios of nothing are 0.
 */
export function scoreClip(
  detections: readonly (readonly ScoredBox[])[],
  truth: ClipTruth,
  settings: ClipScoreSettings = {},
): ClipScore {
  const { iou = 0.5, minVisible = 0.3, threshold = 0 } = settings;
  let truePositives = 0;
  let falsePositives = 0;
  let falseNegatives = 0;
  for (const { index, persons } of truth.frames) {
    const boxes = persons.map(({ box: [x1, y1, x2, y2], visible }) => ({
      box: [x1 / truth.width, y1 / truth.height, x2 / truth.width, y2 / truth.height] as Box,
      counted: visible >= minVisible,
      taken: false,
    }));
    const found = (detections[index] ?? []).filter(({ score }) => score >= threshold);
    for (const { box } of found.sort((a, b) => b.score - a.score)) {
      const candidates = boxes
        .filter(({ taken }) => !taken)
        .map((person) => ({ person, overlap: intersectionOverUnion(person.box, box) }))
        .filter(({ overlap }) => overlap >= iou)
        // A person that counts goes before one that does not, however well the latter fits.
        .sort((a, b) => Number(b.person.counted) - Number(a.person.counted) || b.overlap - a.overlap);
      const best = candidates[0];
      if (best === undefined) {
        falsePositives++;
        continue;
      }
      best.person.taken = true;
      if (best.person.counted) truePositives++;
    }
    falseNegatives += boxes.filter(({ counted, taken }) => counted && !taken).length;
  }
  return {
    recall: truePositives / Math.max(1, truePositives + falseNegatives),
    precision: truePositives / Math.max(1, truePositives + falsePositives),
    truePositives,
    falsePositives,
    falseNegatives,
  };
}
