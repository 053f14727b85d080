import type { GoldenFrame } from '../package/manifest.js';
import { type Box, type Detection, intersectionOverUnion } from './detection.js';

export type GoldenVerdict = { ok: true } | { ok: false; reason: string };

/**
 * Compares what a model found in a golden frame with what it must find, one to one: same label, scores within
 * `tolerance.score`, boxes overlapping by `tolerance.iou` at least. Processors differ in the last bits, so a detection
 * whose score is within the tolerance of `threshold` (the manifest's `thresholds.default`) may be there or not.
 */
export function compareGolden(golden: GoldenFrame, actual: readonly Detection[], threshold = 0): GoldenVerdict {
  const { tolerance } = golden;
  const free = [...actual];
  const expected = [...golden.detections].sort((a, b) => b.score - a.score);
  for (const wanted of expected) {
    let match = -1;
    let overlap = -1;
    for (const [index, candidate] of free.entries()) {
      if (candidate.label !== wanted.label || Math.abs(candidate.score - wanted.score) > tolerance.score) continue;
      const iou = intersectionOverUnion(candidate.box, wanted.box as unknown as Box);
      if (iou >= tolerance.iou && iou > overlap) {
        match = index;
        overlap = iou;
      }
    }
    if (match >= 0) free.splice(match, 1);
    else if (wanted.score - threshold > tolerance.score) {
      return { ok: false, reason: `${golden.file}: expected ${text(wanted)} not found among ${list(actual)}` };
    }
  }
  for (const extra of free) {
    if (extra.score - threshold > tolerance.score) {
      return {
        ok: false,
        reason: `${golden.file}: ${text(extra)} is not among the expected ${list(golden.detections)}`,
      };
    }
  }
  return { ok: true };
}

type Found = { label: string; score: number; box: readonly number[] };

function text({ label, score, box }: Found): string {
  return `${label} ${score.toFixed(3)} [${box.map((value) => value.toFixed(3)).join(', ')}]`;
}

function list(found: readonly Found[]): string {
  return found.length === 0 ? '(nothing)' : found.slice(0, 5).map(text).join('; ');
}
