import type { InstallPhase } from '@vigie/protocol';
import type { InstallState } from './journal.js';
import type { ReleaseSource } from './ports.js';

/** From here on a candidate was listed once, so that it can be withdrawn. */
const DESCRIBED: ReadonlySet<InstallPhase> = new Set([
  'DOWNLOADING',
  'VERIFYING',
  'STAGED',
  'SELF_TEST',
  'SHADOW',
  'TRIAL',
]);

/**
 * Which of what runs, what the board could go back to and what is on its way the publisher no longer lists: their digests.
 * Whether a candidate is listed at all is the preflight's question.
 */
export async function withdrawnOf(
  { active, previous, journal }: InstallState,
  releases: Pick<ReleaseSource, 'isWithdrawn'>,
): Promise<string[]> {
  const described = journal !== null && DESCRIBED.has(journal.phase) ? journal.release : null;
  const asked = [active, previous, described].filter((slot) => slot !== null);
  const gone = await Promise.all(asked.map((release) => releases.isWithdrawn(release)));
  return asked.filter((_, index) => gone[index]).map(({ digest }) => digest);
}
