import type { PromotionRecord, PromotionRepository } from '../io/database/promotion-repository.js';
import type { ReleaseRecord, ReleaseRepository } from '../io/database/release-repository.js';
import type { Now } from '../ports.js';
import { checkPromotion, type PromotionAlias, type PromotionCandidate } from '../registry/promotion.js';
import type { LabelGuard } from './label-guard.js';

export interface PromotionRequest {
  name: string;
  version: string;
  alias: PromotionAlias;
  actor: string;
  reason: string;
  /** Releases it was weighed against; the present champion is always among them. */
  compared?: readonly { name: string; version: string }[];
  overrideLabels?: { reason: string };
}

export type PromotionResult =
  | { ok: true; promotion: PromotionRecord }
  | {
      ok: false;
      code: 'RELEASE_UNKNOWN' | 'RELEASE_WITHDRAWN' | 'RELEASE_NOT_RELEASED' | 'LABELS_MISSING';
      detail: string;
    };

/** Figures of a release as comparisons show them, by metric. */
export type FiguresOf = (release: ReleaseRecord) => Promise<Record<string, number>>;

/** The written decisions: which release of a model is the champion or the candidate, who said so, why, compared with what. */
export class ReleasePromotions {
  constructor(
    private readonly promotions: PromotionRepository,
    private readonly releases: ReleaseRepository,
    private readonly labels: LabelGuard,
    private readonly figures: FiguresOf,
    private readonly now: Now,
  ) {}

  /** What gates compare with and boards should run; null: nobody has chosen one, or it was withdrawn. */
  champion(name: string): Promise<ReleaseRecord | null> {
    return this.promotions.holder(name, 'champion');
  }

  async promote(request: PromotionRequest): Promise<PromotionResult> {
    const { name, version, alias, actor, overrideLabels } = request;
    const release = await this.releases.find(name, version);
    if (release === null) return unknown(name, version);
    const allowed = checkPromotion(release, alias);
    if (!allowed.ok) return allowed;
    const contract = await this.labels.check(release, await this.promotions.boardsOf(name));
    if (!contract.ok && overrideLabels === undefined) return contract;
    const weighed = new Map<number, ReleaseRecord>([[release.id, release]]);
    for (const one of request.compared ?? []) {
      const other = await this.releases.find(one.name, one.version);
      if (other === null) return unknown(one.name, one.version);
      weighed.set(other.id, other);
    }
    const champion = await this.champion(name);
    if (champion !== null) weighed.set(champion.id, champion);
    const missingLabels = contract.ok ? [] : contract.missing.map(({ label }) => label);
    const reason = contract.ok ? request.reason : `${request.reason} (labels overridden: ${overrideLabels?.reason})`;
    const compared: PromotionCandidate[] = [];
    for (const one of weighed.values()) {
      const figures = await this.figures(one);
      compared.push({ name: one.name, version: one.version, digest: one.digest, figures });
    }
    const made = { release, alias, actor, reason, compared, missingLabels };
    const promotion = await this.promotions.add(made, this.now());
    if (promotion !== null) return { ok: true, promotion };
    // It changed between the check and the write.
    const after = checkPromotion((await this.releases.findById(release.id)) ?? release, alias);
    return after.ok ? unknown(name, version) : after;
  }
}

function unknown(name: string, version: string): Extract<PromotionResult, { ok: false }> {
  return { ok: false, code: 'RELEASE_UNKNOWN', detail: `${name}@${version} is not in the registry; upload it first` };
}
