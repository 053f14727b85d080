import type { DropStep } from './layer-report.js';

/** What came of the search: the layers that go back to float, as places in the order, worst first. */
export interface DropSearch {
  back: number[];
  score: number;
  path: DropStep[];
  /** False when the loss stays above the bound even with as many layers in float as may be. */
  reached: boolean;
}

/** Scores asked for at most, to find layers that need not stay in float after all. */
const PRUNING_SCORES = 12;

/**
 * Finds layers whose return to float brings the loss down to `maxDrop`. First how many it takes, worst first: doubles the
 * number until the bound holds, whether or not a step brings anything (layers at fault together help only together), then
 * halves the gap. Then layers among them that were not needed go back to INT8, half of them at once, a quarter, single ones.
 * Asks for at most 2 log2(layers) + 14 scores, and never for the same twice.
 * @param layers how many may go back
 * @param startWith how many to begin with; asked for only when some must go back at all
 * @param floatScore of the float model, higher is better
 * @param scoreOf score with these layers, places in the order, in float
 */
export async function searchFloatLayers(
  layers: number,
  floatScore: number,
  maxDrop: number,
  scoreOf: (back: readonly number[]) => Promise<number>,
  startWith: () => Promise<number> = async () => 1,
): Promise<DropSearch> {
  const path: DropStep[] = [];
  const tried = new Map<string, number>();
  const attempt = async (back: readonly number[]): Promise<boolean> => {
    const known = tried.get(back.join());
    const score = known ?? (await scoreOf(back));
    if (known === undefined) {
      tried.set(back.join(), score);
      path.push({ floatLayers: back.length, score, loss: floatScore - score });
    }
    // a score is a mean of many numbers: the bound itself must not fail by a last bit
    return floatScore - score <= maxDrop + 1e-9;
  };
  const result = (back: number[], reached: boolean): DropSearch => ({
    back,
    score: tried.get(back.join())!,
    path,
    reached,
  });
  const first = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

  if (await attempt([])) return result([], true);
  let failed = 0;
  let kept: number | undefined;
  for (let n = layers > 0 ? await startWith() : 1; kept === undefined && failed < layers; n *= 2) {
    const count = Math.min(n, layers);
    if (await attempt(first(count))) kept = count;
    else failed = count;
  }
  if (kept === undefined) {
    const best = path.reduce((a, b) => (b.score > a.score ? b : a));
    return result(first(best.floatLayers), false);
  }
  while (kept - failed > 1) {
    const middle = Math.floor((kept + failed) / 2);
    if (await attempt(first(middle))) kept = middle;
    else failed = middle;
  }
  return result(await prune(first(kept), attempt), true);
}

/** What remains of layers in float when those not needed have gone back to INT8, the least bad first. */
async function prune(back: number[], keepsBound: (back: readonly number[]) => Promise<boolean>): Promise<number[]> {
  let kept = back;
  let left = PRUNING_SCORES;
  for (let chunk = Math.floor(kept.length / 2); chunk >= 1; chunk = Math.floor(chunk / 2)) {
    for (let end = kept.length; end > 0 && left > 0; end -= chunk) {
      const fewer = [...kept.slice(0, Math.max(0, end - chunk)), ...kept.slice(end)];
      if (fewer.length === 0) continue;
      left--;
      if (await keepsBound(fewer)) kept = fewer;
    }
  }
  return kept;
}
