import { isDeepStrictEqual } from 'node:util';
import { SERVER_KEYS_TARGET } from '@vigie/protocol';
import type { Listing } from '../../ports.js';
import { DAY_MS, targetBody, targetMap } from './bodies.js';
import type { RootBody, TargetsBody } from './metadata-schema.js';
import { isDue } from './next-state.js';
import { STAGED_ROLES, type Staged, type StagedRole, type WaitingRole } from './staging.js';
import type { TrustState, TufVersions } from './trust-state.js';

/** A version that only people can sign is prepared, and asked for, when this is left of the present one's life, ms. */
export const RENEWAL_NOTICE_MS = 30 * DAY_MS;

/** What a change asks for; versions, expiries and signatures are the repository's business. */
export interface TrustChange {
  root?: Pick<RootBody, 'keys' | 'roles'>;
  targets?: Pick<TargetsBody, 'targets' | 'delegations'>;
  certificates?: TargetsBody['targets'];
  /** Keys of desired states, PEM: with `targets`, when they change. */
  serverKeys?: readonly string[];
  /** Versions to stay above. */
  floor?: Partial<TufVersions>;
  /** What waits as `targets` is no longer wanted. */
  unstage?: boolean;
}

/** What must change so that exactly these releases and certificates are listed. */
export function listingChange(state: TrustState, staged: Staged, listing: Listing, now: Date): TrustChange {
  const published = state.targets.document.signed;
  const intent = staged.targets?.signed ?? published;
  const targets = { ...targetMap(listing.releases), [SERVER_KEYS_TARGET]: intent.targets[SERVER_KEYS_TARGET] };
  const change: TrustChange = { certificates: targetMap(listing.certificates) };
  if (isDeepStrictEqual(targets, intent.targets)) return change;
  // A change that was taken back before anybody signed it, unless the version that waits is wanted for something else, too.
  const undone =
    staged.root === undefined &&
    isDeepStrictEqual(targets, published.targets) &&
    isDeepStrictEqual(intent.delegations, published.delegations) &&
    intent.version === published.version + 1 &&
    msLeft(published, now) > RENEWAL_NOTICE_MS;
  return undone ? { ...change, unstage: true } : { ...change, targets: { targets, delegations: intent.delegations } };
}

/** Root and targets are signed anew at half of their life, or asked for a month before its end where people must sign. */
export function renewalChange(
  state: TrustState,
  staged: Staged,
  isOffline: (role: StagedRole) => boolean,
  now: Date,
): TrustChange {
  const due = (role: StagedRole): boolean => {
    if (!isOffline(role)) return isDue(role, state[role], now);
    const waiting = staged[role]?.signed;
    return (
      msLeft(state[role].document.signed, now) < RENEWAL_NOTICE_MS &&
      (waiting === undefined || msLeft(waiting, now) < RENEWAL_NOTICE_MS)
    );
  };
  return {
    ...(due('root') ? { root: staged.root?.signed ?? state.root.document.signed } : {}),
    ...(due('targets') ? { targets: staged.targets?.signed ?? state.targets.document.signed } : {}),
  };
}

/** What an operator should hear about, one line each. */
export function trustWarnings(
  state: TrustState,
  waiting: readonly WaitingRole[],
  isOffline: (role: StagedRole) => boolean,
  now: Date,
): string[] {
  const lines = waiting.map(({ role, version, missing }) =>
    missing > 0
      ? `${role} ${version} waits for ${missing} ${missing === 1 ? 'signature' : 'signatures'}: vigie-server tuf sign`
      : `${role} ${version} is signed and waits for the targets that its keys must sign`,
  );
  for (const role of STAGED_ROLES) {
    const { expires } = state[role].document.signed;
    const left = msLeft(state[role].document.signed, now);
    if (!isOffline(role) || left >= RENEWAL_NOTICE_MS) continue;
    const when = left < 0 ? `expired at ${expires}: boards install nothing` : `expires at ${expires}`;
    lines.push(`${role} ${when}; its keys are offline: sign the version that is staged`);
  }
  return lines;
}

/** Bytes that the larger of the two lists would take with these entries, about. */
export function listedSize(state: TrustState, staged: Staged, added: Listing): number {
  const grown = (body: TargetsBody, entries: Listing['releases']) => {
    const bytes = entries.map((entry) => JSON.stringify(targetBody(entry)).length + entry.path.length + 4);
    return JSON.stringify(body).length + bytes.reduce((sum, one) => sum + one, 0);
  };
  const { signed } = staged.targets ?? state.targets.document;
  // Room for the signatures of every key there can be.
  return 4096 + Math.max(grown(signed, added.releases), grown(state.certified.document.signed, added.certificates));
}

function msLeft({ expires }: { expires: string }, now: Date): number {
  return Date.parse(expires) - now.getTime();
}
