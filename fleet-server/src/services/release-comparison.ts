import type { BenchmarkResult } from '@vigie/protocol';
import type { ReleaseRecord, ReleaseRepository } from '../io/database/release-repository.js';
import { type Comparison, compareReleases, figuresOf } from '../registry/comparison.js';

/** What was measured of releases. */
export interface BenchmarkSource {
  /** Newest results of a release, a bounded number. */
  resultsOf(releaseId: number): Promise<readonly BenchmarkResult[]>;
}

export type ComparisonResult =
  | { ok: true; comparison: Comparison }
  | { ok: false; code: 'RELEASE_UNKNOWN'; detail: string };

/** Figures that a promotion keeps of each release at the most. */
const MAX_FIGURES = 200;

/** Holds any two releases side by side. */
export class ReleaseComparison {
  #benchmarks: BenchmarkSource | null = null;

  constructor(private readonly releases: ReleaseRepository) {}

  /** Where results are kept. Without it comparisons show packages and manifests alone. */
  follow(benchmarks: BenchmarkSource): void {
    this.#benchmarks = benchmarks;
  }

  async compare(a: { name: string; version: string }, b: { name: string; version: string }): Promise<ComparisonResult> {
    const sides: ReleaseRecord[] = [];
    for (const { name, version } of [a, b]) {
      const release = await this.releases.find(name, version);
      if (release === null)
        return { ok: false, code: 'RELEASE_UNKNOWN', detail: `${name}@${version} is not in the registry` };
      sides.push(release);
    }
    const [one, other] = await Promise.all(sides.map((release) => this.#comparable(release)));
    return { ok: true, comparison: compareReleases(one, other) };
  }

  /** A release's figures by `group: metric`, for the record of a decision. */
  async figures(release: ReleaseRecord): Promise<Record<string, number>> {
    const figures = figuresOf(await this.#comparable(release)).slice(0, MAX_FIGURES);
    return Object.fromEntries(figures.map(({ group, metric, value }) => [`${group}: ${metric}`, value]));
  }

  async #comparable(release: ReleaseRecord) {
    return { ...release, results: (await this.#benchmarks?.resultsOf(release.id)) ?? [] };
  }
}
