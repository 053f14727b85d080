import { describeMissing, type MissingLabel, missingLabels, type NeededLabels } from '../registry/label-contract.js';

/** What the boards' rules name. */
export interface LabelNeeds {
  /** `deviceIds`: only theirs; absent: of all. */
  neededLabels(deviceIds?: readonly string[]): Promise<NeededLabels>;
}

export type LabelVerdict =
  | { ok: true }
  | { ok: false; code: 'LABELS_MISSING'; missing: MissingLabel[]; detail: string };

/** The label contract at the places where a release comes near boards: assignments, rollouts, promotions. */
export class LabelGuard {
  constructor(private readonly needs: LabelNeeds) {}

  /** May these boards (all, when null) get this release? */
  async check(
    release: { name: string; version: string; descriptor: { labels: readonly string[] } },
    deviceIds: readonly string[] | null,
  ): Promise<LabelVerdict> {
    const needed = await this.needs.neededLabels(deviceIds ?? undefined);
    const missing = missingLabels(release.descriptor.labels, needed, deviceIds === null ? null : new Set(deviceIds));
    if (missing.length === 0) return { ok: true };
    const detail = describeMissing(`${release.name}@${release.version}`, missing);
    return { ok: false, code: 'LABELS_MISSING', missing, detail };
  }
}
