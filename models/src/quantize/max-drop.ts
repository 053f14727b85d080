import type { DropStep } from './layer-report.js';

/** What came of the search: the first `floatLayers` of the order go back to float. */
export interface DropSearch {
  floatLayers: number;
  score: number;
  path: DropStep[];
  /** False when the loss stays above the bound even with as many layers in float as may be. */
  reached: boolean;
}

/**
 * Finds how many layers, worst first, must go back to float for the loss to fall to `maxDrop`: doubles the number until it
 * does, then halves the gap. Asks for at most 2 log2(layers) + 2 scores, and never for the same twice. Where more float
 * does not always help, the smallest number among those tried is taken that keeps the bound.
 * @param layers how many may go back
 * @param floatScore of the float model, higher is better
 * @param scoreOf score with the first n layers in float
 */
export async function searchFloatLayers(
  layers: number,
  floatScore: number,
  maxDrop: number,
  scoreOf: (floatLayers: number) => Promise<number>,
): Promise<DropSearch> {
  const path: DropStep[] = [];
  const attempt = async (floatLayers: number): Promise<boolean> => {
    const score = await scoreOf(floatLayers);
    path.push({ floatLayers, score, loss: floatScore - score });
    // a score is a mean of many numbers: the bound itself must not fail by a last bit
    return floatScore - score <= maxDrop + 1e-9;
  };
  const result = (floatLayers: number, reached: boolean): DropSearch => ({
    floatLayers,
    score: path.find((step) => step.floatLayers === floatLayers)!.score,
    path,
    reached,
  });
  if (await attempt(0)) return result(0, true);
  let failed = 0;
  let kept: number | undefined;
  for (let n = 1; kept === undefined && failed < layers; n *= 2) {
    const floatLayers = Math.min(n, layers);
    if (await attempt(floatLayers)) kept = floatLayers;
    else failed = floatLayers;
  }
  if (kept === undefined) {
    const best = path.reduce((a, b) => (b.score > a.score ? b : a));
    return result(best.floatLayers, false);
  }
  while (kept - failed > 1) {
    const middle = Math.floor((kept + failed) / 2);
    if (await attempt(middle)) kept = middle;
    else failed = middle;
  }
  return result(kept, true);
}
