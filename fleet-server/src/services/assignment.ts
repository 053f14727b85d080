import { type AssignmentRequest, nextDesired } from '../devices/desired.js';
import type { ActivityRepository } from '../io/database/activity-repository.js';
import type { DeviceRepository } from '../io/database/device-repository.js';
import type { ReleaseRepository } from '../io/database/release-repository.js';
import type { Now } from '../ports.js';
import { notReleased } from '../registry/release-state.js';
import type { LabelGuard } from './label-guard.js';
import type { Publication } from './publication.js';
import { Serial } from './serial.js';

export interface Assignment extends Omit<AssignmentRequest, 'release'> {
  devices: readonly string[];
  name: string;
  version: string;
  /** Go on although rules of these boards need labels that the release lacks. */
  overrideLabels?: { reason: string };
  /** Who asks. */
  actor?: string;
}

export type AssignmentResult =
  | { ok: true; assignments: { deviceId: string; generation: number }[] }
  | {
      ok: false;
      code: 'RELEASE_UNKNOWN' | 'RELEASE_NOT_RELEASED' | 'RELEASE_NOT_PUBLISHED' | 'DEVICE_UNKNOWN' | 'LABELS_MISSING';
      detail: string;
    };

/** How often it is decided anew because another replica was faster. */
const ATTEMPTS = 10;

/** Gives devices a release: the database first, then the wire. A crash in between is made good at the next start. */
export class AssignmentService {
  readonly #serial = new Serial();

  constructor(
    private readonly devices: DeviceRepository,
    private readonly releases: ReleaseRepository,
    private readonly publication: Publication,
    private readonly labels: LabelGuard,
    private readonly activity: ActivityRepository,
    private readonly now: Now,
  ) {}

  async assign(assignment: Assignment): Promise<AssignmentResult> {
    const result = await this.#serial.run(async () => {
      for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
        const stored = await this.#store(assignment);
        if (stored !== null) return stored;
      }
      throw new Error('other replicas moved the generations of these boards again and again');
    });
    if (result.ok) await this.publication.publishDesired(result.assignments.map(({ deviceId }) => deviceId));
    return result;
  }

  /** Null: somebody else gave one of the boards something at the same time, and nothing was stored. */
  async #store({
    devices,
    name,
    version,
    overrideLabels,
    actor,
    ...policies
  }: Assignment): Promise<AssignmentResult | null> {
    const release = await this.releases.find(name, version);
    if (release === null)
      return refuse('RELEASE_UNKNOWN', `${name}@${version} is not in the registry; upload it first`);
    const held = notReleased(release, 'assigned');
    if (held !== null) return refuse('RELEASE_NOT_RELEASED', held);
    if (!this.publication.isPublished({ name, version })) {
      return refuse(
        'RELEASE_NOT_PUBLISHED',
        `${name}@${version} waits for signatures of the publisher, boards would refuse it; see GET /api/v1/tuf`,
      );
    }
    const generations = await this.devices.generations(devices);
    const unknown = devices.filter((id) => !generations.has(id));
    if (unknown.length > 0)
      return refuse(
        'DEVICE_UNKNOWN',
        `no such device, or one that waits for approval: ${unknown.slice(0, 10).join(', ')}; nothing was assigned`,
      );
    const contract = await this.labels.check(release, devices);
    if (!contract.ok && overrideLabels === undefined) return refuse(contract.code, contract.detail);
    const request = { release: { name, version, digest: release.digest }, ...policies };
    const at = this.now();
    const desired = [...generations].map(([id, generation]) => nextDesired(id, generation, request, at));
    if (!(await this.devices.assign(desired, release.id))) return null;
    if (!contract.ok) {
      const body = { missing: contract.missing, reason: overrideLabels?.reason, devices: devices.length };
      const entry = { kind: 'release.labels-overridden' as const, subject: `${name}@${version}`, body };
      await this.activity.add([{ ...entry, at, actor: actor ?? 'system' }]);
    }
    return { ok: true, assignments: desired.map(({ deviceId, generation }) => ({ deviceId, generation })) };
  }
}

function refuse(code: Extract<AssignmentResult, { ok: false }>['code'], detail: string): AssignmentResult {
  return { ok: false, code, detail };
}
