import type { RolloutRepository } from '../io/database/rollout-repository.js';
import type { StoredRollout } from '../io/database/rollout-rows.js';
import type { StepInput, Target } from '../rollout/model.js';

/** Hardware classes that a package is certified for, by its digest; `*`: all. */
export type CertifiedClasses = (digest: string) => Promise<readonly string[]>;

/** What the cohorts of a rollout get, as the registry has it now. */
export async function targetsOf(
  rollout: Pick<StoredRollout, 'releaseId' | 'otherReleaseId'>,
  repository: Pick<RolloutRepository, 'releases'>,
  certified: CertifiedClasses,
  isPublished: (release: { name: string; version: string }) => boolean,
): Promise<StepInput['targets']> {
  const { releaseId, otherReleaseId } = rollout;
  const rows = await repository.releases(otherReleaseId === null ? [releaseId] : [releaseId, otherReleaseId]);
  const target = async (id: number): Promise<Target> => {
    const row = rows.find((one) => one.id === id);
    if (row === undefined) throw new Error(`release ${id} of a rollout is not in the database`);
    const { name, version, digest, state } = row;
    const release = { name, version, digest };
    return { release, classes: await certified(digest), available: state === 'released' && isPublished(release) };
  };
  return { A: await target(releaseId), B: otherReleaseId === null ? null : await target(otherReleaseId) };
}
