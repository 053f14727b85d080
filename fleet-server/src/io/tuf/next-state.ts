import { isDeepStrictEqual } from 'node:util';
import { MAX_METADATA_BYTES } from '@vigie/protocol';
import { head, LIFETIME_MS, metaFile, snapshotBody, timestampBody } from './bodies.js';
import type { Role, RoleKeys, RootBody, TargetsBody } from './metadata-schema.js';
import { encodeDocument, type SignedDocument, signWith } from './signed-document.js';
import type { SigningKey } from './signing-key.js';
import {
  certifiedKeys,
  certifiedUnder,
  type Published,
  signedUnder,
  type TrustState,
  type TufVersions,
} from './trust-state.js';
import { TufError } from './tuf-error.js';

export interface Wanted {
  /** Complete: signed by who must sign it. */
  root: Published<RootBody>;
  targets: Published<TargetsBody>;
  certificates: TargetsBody['targets'];
}

export interface OnlineSigner {
  /** Those of these keys that are at hand. */
  pick(keyids: readonly string[]): SigningKey[];
}

/**
 * The next consistent set: `certified`, `snapshot` and `timestamp` are signed anew where what they list has changed, where the
 * root or `targets` ask for other keys than they are signed with, where half of their life is over, and where a version must
 * lie above `floor`. What needs nothing stays byte for byte. Throws TufError TUF_KEYS_MISSING, METADATA_TOO_LARGE.
 */
export function nextState(
  current: TrustState,
  wanted: Wanted,
  signer: OnlineSigner,
  now: Date,
  floor: Partial<TufVersions> = {},
): TrustState {
  const root = wanted.root.document.signed;
  const targets = wanted.targets;
  const below = (role: keyof TufVersions) => current[role].document.signed.version <= (floor[role] ?? 0);
  const next = (role: keyof TufVersions) => Math.max(current[role].document.signed.version, floor[role] ?? 0) + 1;

  let { certified, snapshot, timestamp } = current;
  const delegated = certifiedKeys(targets.document.signed);
  if (delegated === null) throw new TufError('TUF_REPOSITORY_INVALID', 'targets delegates no role "certified"');
  const { targets: listed } = certified.document.signed;
  const certifiedIsGood =
    isDeepStrictEqual(listed, wanted.certificates) && certifiedUnder(targets.document.signed, certified.document);
  if (!certifiedIsGood || below('certified') || isDue('certified', certified, now)) {
    const body = { ...head('certified', next('certified'), now), targets: wanted.certificates };
    certified = seal('certified', { _type: 'targets' as const, ...body }, delegated.role, signer);
  }
  const files = { targets: describe(targets), certified: describe(certified) };
  const { meta } = snapshot.document.signed;
  const snapshotIsGood =
    isDeepStrictEqual(meta, { 'targets.json': files.targets, 'certified.json': files.certified }) &&
    signedUnder(root, 'snapshot', snapshot.document);
  if (!snapshotIsGood || below('snapshot') || isDue('snapshot', snapshot, now))
    snapshot = seal('snapshot', snapshotBody(next('snapshot'), files, now), root.roles.snapshot, signer);
  const timestampIsGood =
    isDeepStrictEqual(timestamp.document.signed.meta['snapshot.json'], describe(snapshot)) &&
    signedUnder(root, 'timestamp', timestamp.document);
  if (!timestampIsGood || below('timestamp') || isDue('timestamp', timestamp, now)) {
    const body = timestampBody(next('timestamp'), describe(snapshot), now);
    timestamp = seal('timestamp', body, root.roles.timestamp, signer);
  }
  return { root: wanted.root, targets, certified, snapshot, timestamp };
}

/** Is half of its life over? */
export function isDue(role: Role, { document }: Published<{ expires: string }>, now: Date): boolean {
  return Date.parse(document.signed.expires) - now.getTime() < LIFETIME_MS[role] / 2;
}

/** Takes a signed document as what is published from now on. Throws TufError METADATA_TOO_LARGE. */
export function publish<T>(role: Role, document: SignedDocument<T>): Published<T> {
  const bytes = encodeDocument(document);
  if (bytes.length > MAX_METADATA_BYTES) {
    throw new TufError(
      'METADATA_TOO_LARGE',
      `${role} would take ${bytes.length} bytes, boards take at most ${MAX_METADATA_BYTES}; withdraw old releases first`,
    );
  }
  return { document, bytes };
}

function seal<T>(role: Role, body: T, { keyids, threshold }: RoleKeys, signer: OnlineSigner): Published<T> {
  const keys = signer.pick(keyids);
  if (keys.length < threshold) {
    throw new TufError(
      'TUF_KEYS_MISSING',
      `${role} needs ${threshold} of its keys (${keyids.map((id) => id.slice(0, 8)).join(', ')}) in the keys folder, ${keys.length} are there; ` +
        'restore them from a backup, or name others in a new root: vigie-server tuf stage-root',
    );
  }
  return publish(role, signWith({ signatures: [], signed: body }, keys));
}

function describe({ document, bytes }: Published<{ version: number }>) {
  return metaFile(document.signed.version, bytes);
}
