import { type Static, Type } from '@sinclair/typebox';
import type { ReleaseState } from './release-state.js';

/** `champion`: what gates compare with, and boards should run; `candidate`: what is on its way to be it. */
export const PROMOTION_ALIASES = ['champion', 'candidate'] as const;
export const PromotionAlias = Type.Union(PROMOTION_ALIASES.map((alias) => Type.Literal(alias)));
export type PromotionAlias = (typeof PROMOTION_ALIASES)[number];

/** A release that was weighed in a decision, with its figures of that moment. */
export const PromotionCandidate = Type.Object({
  name: Type.String(),
  version: Type.String(),
  digest: Type.String(),
  /** By metric, as the comparison showed it. */
  figures: Type.Record(Type.String(), Type.Number()),
});
export type PromotionCandidate = Static<typeof PromotionCandidate>;

export type PromotionVerdict =
  | { ok: true }
  | { ok: false; code: 'RELEASE_WITHDRAWN' | 'RELEASE_NOT_RELEASED'; detail: string };

/** A champion is what boards may run, so it must be released; a candidate may be anything that was not withdrawn. */
export function checkPromotion(
  release: { name: string; version: string; state: ReleaseState },
  alias: PromotionAlias,
): PromotionVerdict {
  const label = `${release.name}@${release.version}`;
  if (release.state === 'withdrawn') {
    return { ok: false, code: 'RELEASE_WITHDRAWN', detail: `${label} was withdrawn; promote another release` };
  }
  if (alias === 'champion' && release.state !== 'released') {
    const detail = `${label} is ${release.state}; only a released one can be champion: let it pass its gates first`;
    return { ok: false, code: 'RELEASE_NOT_RELEASED', detail };
  }
  return { ok: true };
}
