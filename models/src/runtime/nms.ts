import { type Detection, intersectionOverUnion } from './detection.js';

/** Candidates that take part when a manifest does not say: far more than a picture holds objects, few enough for a board. */
export const MAX_CANDIDATES = 4096;

export interface SuppressionSettings {
  /** A box that overlaps a better one by more than this is dropped. */
  iou: number;
  /** Compare boxes of the same class only. */
  perClass: boolean;
  maxDetections: number;
  /** Only the best so many take part, MAX_CANDIDATES when absent: a low threshold must not stall a board. */
  maxCandidates?: number;
}

/**
 * Greedy non-maximum suppression: best score first (equal scores keep their order), at most `maxDetections`.
 * Returns a new array, best first; `candidates` is left as it is.
 */
export function suppressNonMaxima(candidates: readonly Detection[], settings: SuppressionSettings): Detection[] {
  const { iou, perClass, maxDetections, maxCandidates = MAX_CANDIDATES } = settings;
  const kept: Detection[] = [];
  for (const candidate of bestFirst(candidates, { maxDetections: maxCandidates })) {
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

/** The `maxDetections` best, best first (equal scores keep their order): a new array, nothing suppressed. */
export function bestFirst(
  candidates: readonly Detection[],
  { maxDetections }: Pick<SuppressionSettings, 'maxDetections'>,
): Detection[] {
  return strongest(candidates, maxDetections).sort((a, b) => b.score - a.score);
}

/** The `count` best in their order; numbers alone are sorted, which is many times faster than objects. */
function strongest(candidates: readonly Detection[], count: number): Detection[] {
  if (candidates.length <= count) return [...candidates];
  const scores = Float64Array.from(candidates, ({ score }) => score).sort();
  const lowest = scores[scores.length - count];
  let ties = count;
  for (let i = scores.length - 1; i >= 0 && scores[i] > lowest; i--) ties--;
  return candidates.filter(({ score }) => score > lowest || (score === lowest && ties-- > 0));
}
