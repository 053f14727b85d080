import type { ReleaseRepository } from '../io/database/release-repository.js';
import type { StoredRollout } from '../io/database/rollout-rows.js';
import type { Pair } from '../rollout/model.js';
import type { LabelGuard } from './label-guard.js';

interface Labelled {
  name: string;
  version: string;
  descriptor: { labels: readonly string[] };
}

/**
 * The label contract of a rollout under way: boards join it, and their rules change, long after it was made. They are looked at
 * again before they are told.
 */
export class RolloutLabels {
  /** Labels of a release never change. */
  readonly #known = new Map<number, Labelled>();

  constructor(
    private readonly releases: Pick<ReleaseRepository, 'findById'>,
    private readonly labels: LabelGuard,
  ) {}

  /** Of these boards those whose rules need labels that what they would get lacks, each with one line that says so. */
  async missing(
    { spec, releaseId, otherReleaseId }: Pick<StoredRollout, 'spec' | 'releaseId' | 'otherReleaseId'>,
    pairs: readonly Pair[],
  ): Promise<ReadonlyMap<string, string>> {
    const found = new Map<string, string>();
    if (spec.overrideLabels !== undefined) return found;
    for (const [cohort, id] of [['A', releaseId] as const, ['B', otherReleaseId] as const]) {
      const boards = pairs.filter(({ member }) => member.cohort === cohort).map(({ member }) => member.deviceId);
      if (id === null || boards.length === 0) continue;
      const release = await this.#release(id);
      const verdict = await this.labels.check(release, boards);
      if (verdict.ok) continue;
      for (const board of boards) {
        const needs = verdict.missing.filter(({ devices }) => devices.includes(board)).map(({ label }) => `"${label}"`);
        if (needs.length === 0) continue;
        const text = `${release.name}@${release.version} does not know ${needs.join(', ')}, which rules of this board need`;
        found.set(board, text);
      }
    }
    return found;
  }

  async #release(id: number): Promise<Labelled> {
    const known = this.#known.get(id);
    if (known !== undefined) return known;
    const release = await this.releases.findById(id);
    if (release === null) throw new Error(`release ${id} of a rollout is not in the database`);
    const { name, version, descriptor } = release;
    const labelled = { name, version, descriptor: { labels: descriptor.labels } };
    this.#known.set(id, labelled);
    return labelled;
  }
}
