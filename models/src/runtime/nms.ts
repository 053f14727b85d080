import { type Detection, intersectionOverUnion } from './detection.js';

export interface SuppressionSettings {
  /** A box that overlaps a better one by more than this is dropped. */
  iou: number;
  /** Compare boxes of the same class only. */
  perClass: boolean;
  maxDetections: number;
}

/**
 * Greedy non-maximum suppression: best score first (equal scores keep their order), at most `maxDetections`.
 * Returns a new array, best first; `candidates` is left as it is.
 */
export function suppressNonMaxima(candidates: readonly Detection[], settings: SuppressionSettings): Detection[] {
  const { iou, perClass, maxDetections } = settings;
  const kept: Detection[] = [];
  for (const candidate of [...candidates].sort((a, b) => b.score - a.score)) {
    if (kept.length >= maxDetections) break;
    let free = true;
    for (const better of kept) {
      if (perClass && better.classId !== candidate.classId) continue;
      if (intersectionOverUnion(better.box, candidate.box) > iou) {
        free = false;
        break;
      }
    }
    if (free) kept.push(candidate);
  }
  return kept;
}
