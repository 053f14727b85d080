import type { GateRepository } from '../io/database/gate-repository.js';
import type { GrantRepository, OverrideRecord } from '../io/database/grant-repository.js';
import type { ReleaseRecord } from '../io/database/release-repository.js';
import type { Now } from '../ports.js';
import type { GateJudge } from './gate-judge.js';
import type { Publication } from './publication.js';

/** Verdicts that an override names as what it overrode. */
const MOST_VERDICTS = 50;

export type OverrideResult =
  | { ok: true; override: OverrideRecord }
  | {
      ok: false;
      code: 'OVERRIDE_UNKNOWN' | 'OVERRIDE_DECIDED' | 'OVERRIDE_NEEDS_SECOND_PERSON' | 'RELEASE_WITHDRAWN';
      detail: string;
    };

/** Certification against the gates' word: a reason, a second person, and both in the log. And the way back: revocation. */
export class GateOverrides {
  constructor(
    private readonly grants: GrantRepository,
    private readonly gates: GateRepository,
    private readonly judge: Pick<GateJudge, 'settleStanding'>,
    private readonly publication: Pick<Publication, 'publishReleases'>,
    private readonly secondPerson: boolean,
    private readonly now: Now,
  ) {}

  /** Without a second person it counts at once. */
  async request(
    release: ReleaseRecord,
    hardwareClasses: readonly string[],
    reason: string,
    actor: string,
  ): Promise<OverrideResult> {
    if (release.state === 'withdrawn') return withdrawn(release);
    const verdicts = (await this.gates.verdicts({ releaseId: release.id }, null, MOST_VERDICTS)).map(({ id }) => id);
    const request = { releaseId: release.id, hardwareClasses, reason, verdicts };
    const override = await this.grants.requestOverride(request, { actor, at: this.now() });
    return this.secondPerson ? { ok: true, override } : this.decide(override.id, 'approved', '', actor);
  }

  async decide(id: number, to: 'approved' | 'rejected', decision: string, actor: string): Promise<OverrideResult> {
    const by = { actor, at: this.now() };
    const decided = await this.grants.decideOverride(id, to, decision, this.secondPerson, by);
    if (decided !== null) {
      if (to === 'approved') await this.#publish(decided.releaseId);
      return { ok: true, override: decided };
    }
    const found = await this.grants.findOverride(id);
    if (found === null) return { ok: false, code: 'OVERRIDE_UNKNOWN', detail: `no override has the number ${id}` };
    if (found.state !== 'waiting') {
      const detail = `override ${id} was ${found.state} by ${found.decidedBy} already; ask for a new one`;
      return { ok: false, code: 'OVERRIDE_DECIDED', detail };
    }
    if (this.secondPerson && found.requestedBy === actor) {
      const detail = `${actor} asked for override ${id}; somebody else must approve it (gates.secondPerson)`;
      return { ok: false, code: 'OVERRIDE_NEEDS_SECOND_PERSON', detail };
    }
    return { ok: false, code: 'RELEASE_WITHDRAWN', detail: `the release of override ${id} was withdrawn` };
  }

  /** Takes a certificate back: no board installs the release on that class any more; those that run it keep it. */
  async revoke(release: ReleaseRecord, hardwareClass: string, reason: string, actor: string): Promise<boolean> {
    const gone = await this.grants.revoke(release.id, hardwareClass, reason, { actor, at: this.now() });
    if (gone) await this.publication.publishReleases();
    return gone;
  }

  async #publish(releaseId: number): Promise<void> {
    await this.judge.settleStanding(releaseId);
    await this.publication.publishReleases();
  }
}

function withdrawn({ name, version }: ReleaseRecord): OverrideResult {
  return { ok: false, code: 'RELEASE_WITHDRAWN', detail: `${name}@${version} was withdrawn; upload a new version` };
}
