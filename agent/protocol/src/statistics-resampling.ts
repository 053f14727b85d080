import type { Metric } from './metrics.js';
import { checkConfidence, type Interval, type Pair, percentileOfSorted } from './statistics.js';

export type Statistic = Metric['statistic'];

/** Draws of a bootstrap; the interval's ends then move little from seed to seed, and 2000 samples take some 50 ms. */
export const BOOTSTRAP_DRAWS = 2000;

/** A generator of numbers 0 (inclusive) .. 1 (exclusive), the same for the same seed: mulberry32 (T. Ettinger, public domain). */
export function seededRandom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** One figure of samples. NaN for none. */
export function statisticOf(samples: readonly number[], statistic: Statistic): number {
  return samples.length === 0 ? Number.NaN : new Drawable(samples, statistic).figure(null);
}

/**
 * A statistic of samples with its percentile interval by the bootstrap (B. Efron and R. Tibshirani, "An Introduction to the
 * Bootstrap", 1993, chapter 13). Deterministic for a seed. Null for fewer than two samples, or one that is not finite.
 */
export function bootstrapInterval(
  samples: readonly number[],
  statistic: Statistic,
  confidence: number,
  { draws = BOOTSTRAP_DRAWS, seed = 1 } = {},
): Interval | null {
  checkConfidence(confidence);
  if (samples.length < 2 || samples.some((sample) => !Number.isFinite(sample))) return null;
  const all = new Drawable(samples, statistic);
  const figures = resample(samples.length, draws, seed, (times) => all.figure(times));
  return interval(all.figure(null), figures, confidence, samples.length);
}

/**
 * A figure made of statistic(candidate) and statistic(reference) over the same pairs, with its percentile interval: pairs are
 * drawn whole, so what they have in common (an easy frame, a slow moment) cancels. Null where that cannot be said: fewer than
 * two pairs, or something that is not finite.
 */
export function pairedStatistic(
  pairs: readonly Pair[],
  statistic: Statistic,
  confidence: number,
  combine: (candidate: number, reference: number) => number,
  { draws = BOOTSTRAP_DRAWS, seed = 1 } = {},
): Interval | null {
  checkConfidence(confidence);
  const finite = (pair: Pair) => Number.isFinite(pair.candidate) && Number.isFinite(pair.reference);
  if (pairs.length < 2 || !pairs.every(finite)) return null;
  const ours = new Drawable(
    pairs.map((pair) => pair.candidate),
    statistic,
  );
  const theirs = new Drawable(
    pairs.map((pair) => pair.reference),
    statistic,
  );
  const figures = resample(pairs.length, draws, seed, (times) => combine(ours.figure(times), theirs.figure(times)));
  return interval(combine(ours.figure(null), theirs.figure(null)), figures, confidence, pairs.length);
}

/** Samples sorted once, so that the statistic of any draw of them takes one walk and no sorting. */
class Drawable {
  readonly #order: Uint32Array;
  readonly #sorted: Float64Array;

  constructor(
    samples: readonly number[],
    private readonly statistic: Statistic,
  ) {
    this.#order = Uint32Array.from(samples.keys()).sort((a, b) => samples[a] - samples[b]);
    this.#sorted = Float64Array.from(this.#order, (index) => samples[index]);
  }

  /** @param times how often each sample was drawn, by its place in what was given; null: each once. */
  figure(times: Uint16Array | null): number {
    const sorted = this.#sorted;
    const count = (place: number) => (times === null ? 1 : times[this.#order[place]]);
    const size = sorted.length;
    if (this.statistic === 'mean') {
      let sum = 0;
      for (let place = 0; place < size; place += 1) sum += (count(place) * sorted[place]) / size;
      return sum;
    }
    if (this.statistic === 'max') {
      let place = size - 1;
      while (count(place) === 0) place -= 1;
      return sorted[place];
    }
    const rank = (Number(this.statistic.slice(1)) / 100) * (size - 1);
    const below = Math.floor(rank);
    const above = Math.ceil(rank);
    let passed = 0;
    let place = -1;
    while (passed <= below) {
      place += 1;
      passed += count(place);
    }
    const low = sorted[place];
    while (passed <= above) {
      place += 1;
      passed += count(place);
    }
    return low + (sorted[place] - low) * (rank - below);
  }
}

/** Figures of `draws` draws with replacement, sorted. */
function resample(size: number, draws: number, seed: number, figure: (times: Uint16Array) => number): Float64Array {
  const random = seededRandom(seed);
  const times = new Uint16Array(size);
  return Float64Array.from({ length: draws }, () => {
    times.fill(0);
    for (let i = 0; i < size; i += 1) times[Math.floor(random() * size)] += 1;
    return figure(times);
  }).sort();
}

/** The sample's own figure always lies in its interval. Null where numbers overflowed. */
function interval(estimate: number, sorted: Float64Array, confidence: number, n: number): Interval | null {
  const low = Math.min(estimate, percentileOfSorted(sorted, (1 - confidence) / 2));
  const high = Math.max(estimate, percentileOfSorted(sorted, (1 + confidence) / 2));
  return [estimate, low, high].every(Number.isFinite) ? { estimate, low, high, confidence, n } : null;
}
