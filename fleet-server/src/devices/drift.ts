/**
 * How far a histogram has moved from its baseline: the population stability index, the symmetrised Kullback-Leibler divergence
 * of the two distributions (S. Kullback, R. A. Leibler, "On information and sufficiency", 1951; under this name and with the usual
 * reading "below 0.1 stable, 0.1 to 0.25 moved, above 0.25 another population" in N. Siddiqi, "Credit Risk Scorecards", Wiley 2006).
 * Empty bins count as half a detection, so that a bin that one side never saw says much and not infinitely much.
 *
 * @returns 0 for equal shapes; null when a side is empty.
 */
export function populationStabilityIndex(baseline: readonly number[], now: readonly number[]): number | null {
  if (baseline.length !== now.length) throw new RangeError(`${baseline.length} bins against ${now.length}`);
  const shares = (bins: readonly number[]): number[] | null => {
    if (bins.reduce((sum, count) => sum + count, 0) === 0) return null;
    const counts = bins.map((count) => Math.max(count, 0.5));
    const total = counts.reduce((sum, count) => sum + count, 0);
    return counts.map((count) => count / total);
  };
  const [expected, actual] = [shares(baseline), shares(now)];
  if (expected === null || actual === null) return null;
  return expected.reduce((sum, share, bin) => sum + (actual[bin] - share) * Math.log(actual[bin] / share), 0);
}

export interface Histograms {
  scores: readonly number[];
  areas: readonly number[];
}

export interface DriftThresholds {
  minDetections: number;
  scorePsi: number;
  areaPsi: number;
}

export interface DriftVerdict {
  scorePsi: number;
  areaPsi: number;
  detections: number;
  drifting: boolean;
}

/** Null: too few detections on either side to say anything. */
export function judgeDrift(baseline: Histograms, now: Histograms, thresholds: DriftThresholds): DriftVerdict | null {
  const total = ({ scores }: Histograms) => scores.reduce((sum, count) => sum + count, 0);
  const detections = total(now);
  if (Math.min(detections, total(baseline)) < thresholds.minDetections) return null;
  const scorePsi = populationStabilityIndex(baseline.scores, now.scores);
  const areaPsi = populationStabilityIndex(baseline.areas, now.areas);
  if (scorePsi === null || areaPsi === null) return null;
  const drifting = scorePsi > thresholds.scorePsi || areaPsi > thresholds.areaPsi;
  return { scorePsi, areaPsi, detections, drifting };
}
