import type { ChangeAuthor, ReleaseRecord, ReleaseRepository } from '../io/database/release-repository.js';
import type { Now } from '../ports.js';
import { type Advance, transition } from '../registry/release-state.js';
import type { Publication } from './publication.js';

export type LifeResult =
  | { ok: true; changed: boolean; release: ReleaseRecord }
  | { ok: false; code: 'RELEASE_UNKNOWN' | 'RELEASE_WITHDRAWN'; detail: string };

/** Takes releases from state to state: the database first, with an entry of the activity log, then the wire. */
export class ReleaseLife {
  constructor(
    private readonly releases: ReleaseRepository,
    private readonly publication: Publication,
    private readonly now: Now,
  ) {}

  /**
   * Takes a release forward to at least `to`; one that is as far already stays as it is (`changed: false`), so a caller may
   * repeat itself. `certifiedBy`: the gate that let it through to `released`; the actor when absent.
   */
  async advance(id: number, to: Advance, by: ChangeAuthor & { certifiedBy?: string }): Promise<LifeResult> {
    const changed = await this.releases.advance(id, to, by, this.now());
    const release = await this.releases.findById(id);
    if (release === null) return { ok: false, code: 'RELEASE_UNKNOWN', detail: `no release has the number ${id}` };
    if (release.state === 'withdrawn') {
      const detail = `${release.name}@${release.version} was withdrawn; publish the package under a new version`;
      return { ok: false, code: 'RELEASE_WITHDRAWN', detail };
    }
    if (changed && to === 'released') await this.publication.publishReleases();
    return { ok: true, changed, release };
  }

  /** Takes a release out of the targets. Boards that run it keep it; none installs it any more. */
  async withdraw(name: string, version: string, by: ChangeAuthor): Promise<LifeResult> {
    const found = await this.releases.find(name, version);
    if (found === null)
      return { ok: false, code: 'RELEASE_UNKNOWN', detail: `${name}@${version} is not in the registry` };
    const step = transition(found.state, 'withdrawn');
    if (!step.ok) throw new RangeError(step.detail);
    const changed = await this.releases.withdraw(found.id, by, this.now());
    // Also when nothing changed: what a crash kept from the wire is made good.
    await this.publication.publishReleases();
    return { ok: true, changed, release: (await this.releases.findById(found.id)) as ReleaseRecord };
  }
}
