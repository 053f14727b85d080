import type { PolicyRecord } from '../io/database/gate-repository.js';
import type { GrantRecord, OverrideRecord } from '../io/database/grant-repository.js';
import type { Judgement } from '../services/gate-judge.js';

/** What a judgement said, as answers show it. */
export function viewJudgement({ release, verdicts, certified }: Judgement): object {
  const { name, version, digest, state } = release;
  return {
    release: { name, version, digest, state },
    verdicts: verdicts.map(({ id, policyVersion, verdict }) => ({ id, policyVersion, ...verdict })),
    /** Classes that this judgement certified anew. */
    certified,
  };
}

export function viewPolicy({ name, version, document, createdAt, createdBy, note }: PolicyRecord): object {
  return { name, version, removed: document === null, createdAt, createdBy, note, document };
}

export function viewGrant(grant: GrantRecord): object {
  const { hardwareClass, policy, measured, grantedAt, verdicts, overrideId, revokedAt, revokedBy, revokeReason } =
    grant;
  return {
    ...{ hardwareClass, policy, measured, grantedAt, verdicts, overrideId },
    revoked: revokedAt === null ? null : { at: revokedAt, by: revokedBy, reason: revokeReason },
  };
}

export function viewOverride(override: OverrideRecord, release: { name: string; version: string } | null): object {
  const { id, hardwareClasses, reason, state, requestedBy, requestedAt, verdicts, decidedBy, decidedAt, decision } =
    override;
  return {
    ...{ id, release: release && { name: release.name, version: release.version }, hardwareClasses, reason, state },
    ...{ requestedBy, requestedAt, verdicts, decidedBy, decidedAt, decision },
  };
}
