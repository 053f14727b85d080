// A paired bootstrap over pictures: how far the difference of two models' average precision would scatter had other
// pictures of the same kind been drawn. Pure: random numbers come from a seed. After B. Efron and R. Tibshirani, "An
// Introduction to the Bootstrap" (1993), chapter 13 (percentile interval); both models see the same draws.

/**
 * What average precision needs of one model's result on one category, all pictures together: detections best first,
 * each with its picture, and a bit per IoU threshold: right, or left out of the count.
 * @typedef {{pictures: Uint32Array, matched: Uint16Array, ignored: Uint16Array}} Ranked
 */

/**
 * Average precision of a draw of pictures: mean over `thresholds` bits of the mean precision at 101 recall levels, as
 * pycocotools counts it, with each picture counted `times[picture]` times.
 * @param {Ranked} ranked
 * @param {ArrayLike<number>} positives objects to be found, per picture
 * @param {ArrayLike<number>} times how often each picture was drawn
 * @param {readonly number[]} thresholds bits of `matched`
 * @returns {number} 0..1; NaN when the draw holds no object
 */
export function averagePrecision(ranked, positives, times, thresholds) {
  let total = 0;
  for (let p = 0; p < positives.length; p++) total += positives[p] * times[p];
  if (total === 0) return Number.NaN;
  let sum = 0;
  for (const threshold of thresholds) sum += areaUnderCurve(ranked, times, 1 << threshold, total);
  return sum / thresholds.length;
}

function areaUnderCurve({ pictures, matched, ignored }, times, bit, total) {
  const recalls = [];
  const precisions = [];
  let right = 0;
  let wrong = 0;
  for (let d = 0; d < pictures.length; d++) {
    const weight = times[pictures[d]];
    if (weight === 0 || (ignored[d] & bit) !== 0) continue;
    if ((matched[d] & bit) !== 0) right += weight;
    else wrong += weight;
    recalls.push(right / total);
    precisions.push(right / (right + wrong));
  }
  for (let i = precisions.length - 1; i > 0; i--) precisions[i - 1] = Math.max(precisions[i - 1], precisions[i]);
  let at = 0;
  let sum = 0;
  for (let level = 0; level <= 100; level++) {
    // the same last bit as in numpy's linspace, which pycocotools compares with
    const recall = level === 100 ? 1 : level * 0.01;
    while (at < recalls.length && recalls[at] < recall) at++;
    if (at < recalls.length) sum += precisions[at];
  }
  return sum / 101;
}

/**
 * @param {Ranked} first
 * @param {Ranked} second
 * @param {ArrayLike<number>} positives
 * @param {{draws?: number, seed?: number, thresholds: readonly number[]}} settings
 * @returns {{first: number, second: number, difference: number, mean: number, low: number, high: number, draws: number}}
 *   AP of all pictures, `difference` first − second, and over the draws its mean and its 2.5th and 97.5th percentile
 */
export function pairedBootstrap(first, second, positives, { draws = 2000, seed = 1, thresholds }) {
  const pictures = positives.length;
  const once = new Uint16Array(pictures).fill(1);
  const random = mulberry32(seed);
  const differences = [];
  while (differences.length < draws) {
    const times = new Uint16Array(pictures);
    let objects = 0;
    for (let i = 0; i < pictures; i++) {
      const drawn = Math.floor(random() * pictures);
      times[drawn]++;
      objects += positives[drawn];
    }
    if (objects === 0) {
      if (Array.from(positives).every((n) => n === 0)) throw new RangeError('no picture shows an object');
      continue;
    }
    differences.push(
      averagePrecision(first, positives, times, thresholds) - averagePrecision(second, positives, times, thresholds),
    );
  }
  const a = averagePrecision(first, positives, once, thresholds);
  const b = averagePrecision(second, positives, once, thresholds);
  return {
    first: a,
    second: b,
    difference: a - b,
    mean: differences.reduce((sum, d) => sum + d, 0) / draws,
    low: quantile(differences, 0.025),
    high: quantile(differences, 0.975),
    draws,
  };
}

/** @param {ArrayLike<number>} values @param {number} share 0..1, linear between neighbours */
export function quantile(values, share) {
  const sorted = Float64Array.from(values).sort();
  const at = share * (sorted.length - 1);
  const below = Math.floor(at);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
}

/** @param {ArrayLike<number>} values */
export function median(values) {
  return quantile(values, 0.5);
}

/**
 * 95 % interval of the median, from the ranks that a binomial distribution leaves (normal approximation); whatever the
 * values' own distribution is.
 * @param {ArrayLike<number>} values
 */
export function medianInterval(values) {
  const sorted = Float64Array.from(values).sort();
  const reach = 0.98 * Math.sqrt(sorted.length);
  const low = Math.max(0, Math.floor(sorted.length / 2 - reach));
  const high = Math.min(sorted.length - 1, Math.ceil(sorted.length / 2 + reach) - 1);
  return { low: sorted[low], high: sorted[high] };
}

/** Tommy Ettinger's 32-bit generator (public domain): numbers 0..1 that are the same on every machine. */
export function mulberry32(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
