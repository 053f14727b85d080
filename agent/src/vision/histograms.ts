import type { Detection } from '@vigie/models/runtime/detection';

const BINS = 10;

/** Bin of a score: ten equal bins 0..1; 1 belongs to the last. */
export function scoreBin(score: number): number {
  return clamp(Math.floor(score * BINS));
}

/** Bin of a box area (share of the frame): bin i holds 2^(i-10) to 2^(i-9); the first also takes all below. */
export function boxAreaBin(area: number): number {
  return area > 0 ? clamp(Math.floor(BINS + Math.log2(area))) : 0;
}

function clamp(bin: number): number {
  return Number.isNaN(bin) ? 0 : Math.min(BINS - 1, Math.max(0, bin));
}

/** Counts of detections by score and by box area, as `Telemetry` carries them. */
export class DetectionHistograms {
  private readonly scores = new Float64Array(BINS);
  private readonly areas = new Float64Array(BINS);

  add(detections: readonly Detection[]): void {
    for (const { score, box } of detections) {
      this.scores[scoreBin(score)]++;
      this.areas[boxAreaBin((box[2] - box[0]) * (box[3] - box[1]))]++;
    }
  }

  /** The counts since the last call; the next window starts at zero. */
  take(): { scoreHistogram: number[]; boxAreaHistogram: number[] } {
    const taken = { scoreHistogram: Array.from(this.scores), boxAreaHistogram: Array.from(this.areas) };
    this.scores.fill(0);
    this.areas.fill(0);
    return taken;
  }
}
