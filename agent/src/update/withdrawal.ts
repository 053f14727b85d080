import type { ReleaseReference } from '@vigie/protocol';

export interface WithdrawalFacts {
  /** The release in the active slot; null: the bundled package, or none. It came from no fleet and is never withdrawn. */
  active: ReleaseReference | null;
  /** What the newest accepted desired state asks for; null: leave it as it is. */
  desired: ReleaseReference | null;
  /** The slot to go back to. */
  previous: ReleaseReference | null;
  /** Package digests that verified, unexpired metadata no longer lists. What is not known to be withdrawn is not in it. */
  withdrawn: ReadonlySet<string>;
  /** Package digests that failed on this board. */
  failed: ReadonlySet<string>;
}

export type WithdrawalDecision =
  /** Nothing was withdrawn that runs here. */
  | { kind: 'stay'; code: null }
  /** It runs a withdrawn release and has nothing else: seeing with it is better than being blind. */
  | { kind: 'stay'; code: 'RELEASE_WITHDRAWN' }
  /** The server asks for another release anyway: installing that leaves the withdrawn one. */
  | { kind: 'follow-desired'; release: ReleaseReference }
  /** Nothing else is asked for, or it cannot run here: back to the previous one, which lies on the disk. */
  | { kind: 'go-to-previous'; release: ReleaseReference };

/** What a board does about a release that was withdrawn while it runs it. It leaves it, but never goes blind. */
export function leaveWithdrawn(facts: WithdrawalFacts): WithdrawalDecision {
  const { active, desired, previous, withdrawn, failed } = facts;
  if (active === null || !withdrawn.has(active.digest)) return { kind: 'stay', code: null };
  const fit = (release: ReleaseReference | null): release is ReleaseReference =>
    release !== null &&
    release.digest !== active.digest &&
    !withdrawn.has(release.digest) &&
    !failed.has(release.digest);
  if (fit(desired)) return { kind: 'follow-desired', release: desired };
  if (fit(previous)) return { kind: 'go-to-previous', release: previous };
  return { kind: 'stay', code: 'RELEASE_WITHDRAWN' };
}
