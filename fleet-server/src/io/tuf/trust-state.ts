import type { RoleKeys, RootBody, SnapshotBody, TargetsBody, TimestampBody } from './metadata-schema.js';
import { isSigned, type SignedDocument } from './signed-document.js';

export interface Published<T> {
  document: SignedDocument<T>;
  /** The exact bytes: hashes and lengths are of these. */
  bytes: Buffer;
}

/** One consistent set of metadata: what a client that updates now ends up with. */
export interface TrustState {
  root: Published<RootBody>;
  targets: Published<TargetsBody>;
  certified: Published<TargetsBody>;
  snapshot: Published<SnapshotBody>;
  timestamp: Published<TimestampBody>;
}

export type TufVersions = { root: number; targets: number; certified: number; snapshot: number; timestamp: number };

export function versionsOf(state: TrustState): TufVersions {
  const version = (role: keyof TrustState) => state[role].document.signed.version;
  return {
    root: version('root'),
    targets: version('targets'),
    certified: version('certified'),
    snapshot: version('snapshot'),
    timestamp: version('timestamp'),
  };
}

/** Is this signed as this root asks for the role? */
export function signedUnder(
  root: RootBody,
  role: 'targets' | 'snapshot' | 'timestamp',
  document: SignedDocument<unknown>,
): boolean {
  return isSigned(document, root.roles[role], root.keys);
}

/** The keys that `targets` delegates certificates to. */
export function certifiedKeys(targets: TargetsBody): { role: RoleKeys; keys: RootBody['keys'] } | null {
  const { delegations } = targets;
  return delegations === undefined ? null : { role: delegations.roles[0], keys: delegations.keys };
}

export function certifiedUnder(targets: TargetsBody, document: SignedDocument<unknown>): boolean {
  const delegated = certifiedKeys(targets);
  return delegated !== null && isSigned(document, delegated.role, delegated.keys);
}

/**
 * May this root follow that one? Its version is the next, and a threshold of the old keys and of its own keys signed it
 * (TUF 1.0.31, 5.3.4 and 5.3.5).
 */
export function mayFollow(previous: RootBody, next: SignedDocument<RootBody>): boolean {
  return (
    next.signed.version === previous.version + 1 &&
    isSigned(next, previous.roles.root, previous.keys) &&
    isSigned(next, next.signed.roles.root, next.signed.keys)
  );
}
