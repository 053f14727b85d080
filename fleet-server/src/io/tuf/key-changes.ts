import { SERVER_KEYS_TARGET } from '@vigie/protocol';
import { certifiedDelegation, serverKeysTarget, targetBody } from './bodies.js';
import type { KeyPurpose } from './key-folder.js';
import { type RoleKeys, type RootBody, type TargetsBody, TOP_ROLES, type TopRole } from './metadata-schema.js';
import { type PublicKey, publicPem } from './signing-key.js';
import type { TrustChange } from './trust-change.js';
import { TufError } from './tuf-error.js';
import type { TufRepository } from './tuf-repository.js';

/** Changes of a role's keys, for a new root. */
export interface RootRequest {
  add?: readonly { role: TopRole; key: PublicKey }[];
  /** Key ids, or their first eight digits or more. */
  remove?: readonly { role: TopRole; keyid: string }[];
  thresholds?: readonly { role: TopRole; threshold: number }[];
}

/** A new root: with these changes, or only with a later expiry. Published when its keys are at hand, else staged. Throws TufError. */
export async function stageRoot(repository: TufRepository, request: RootRequest = {}): Promise<boolean> {
  return repository.change({ root: rootWith(rootIntent(repository), request) });
}

/**
 * A new key for a purpose. `keyid` says which one it replaces where there are several. The keys of desired states stay beside
 * the new one until `revoke`: a board that has not heard of the new one goes on. Throws TufError.
 */
export async function rotate(repository: TufRepository, purpose: KeyPurpose, keyid?: string): Promise<PublicKey> {
  const { keys } = repository;
  if ((purpose === 'root' || purpose === 'targets') && repository.isOffline(purpose)) {
    throw new TufError(
      'REQUEST_UNFIT',
      `the keys of ${purpose} are not here; make one where they are (vigie-server tuf new-key) and name its public half: ` +
        `vigie-server tuf stage-root --add-key ${purpose}=NEW.pub.pem --remove-key ${purpose}=OLD_KEYID`,
    );
  }
  const present = keyidsOf(repository, purpose);
  const replaced = purpose === 'desired' ? null : chosen(purpose, present, keyid);
  const key = await keys.create(purpose);
  const change = changeOf(repository, purpose, replaced, key);
  try {
    await repository.change(change);
  } finally {
    // A change that failed half-way may be written down with this key: only what is there can tell.
    const known = await repository.refresh().then(
      () => true,
      () => false,
    );
    if (known && !repository.countingKeys().has(key.keyid)) await keys.remove(key.keyid);
  }
  return key;
}

/** Takes a key away from every purpose that it has; others must be left to sign. Returns the purposes. Throws TufError. */
export async function revoke(repository: TufRepository, keyid: string): Promise<KeyPurpose[]> {
  const full = findKey(repository, keyid);
  const change: TrustChange = {};
  const purposes: KeyPurpose[] = [];
  let root = rootIntent(repository);
  for (const role of TOP_ROLES) {
    if (!root.roles[role].keyids.includes(full)) continue;
    root = rootWith(root, { remove: [{ role, keyid: full }] });
    change.root = root;
    purposes.push(role);
  }
  if (keyidsOf(repository, 'certified').includes(full))
    throw lastKey('certified', full, 'replace it: vigie-server tuf rotate certified');
  if (keyidsOf(repository, 'desired').includes(full)) {
    const pems = repository.comingServerKeys();
    const left = pems.filter((_, index) => keyidsOf(repository, 'desired')[index] !== full);
    if (left.length === 0) throw lastKey('desired', full, 'make another first: vigie-server tuf rotate desired');
    Object.assign(change, withServerKeys(repository, left));
    purposes.push('desired');
  }
  await repository.change(change);
  return purposes;
}

function changeOf(
  repository: TufRepository,
  purpose: KeyPurpose,
  replaced: string | null,
  key: PublicKey,
): TrustChange {
  if (purpose === 'desired') return withServerKeys(repository, [...repository.comingServerKeys(), publicPem(key)]);
  if (purpose === 'certified') {
    const { targets } = targetsIntent(repository);
    return { targets: { targets, delegations: certifiedDelegation({ keys: [key], threshold: 1 }) } };
  }
  const role = purpose;
  const remove = replaced === null ? [] : [{ role, keyid: replaced }];
  return { root: rootWith(rootIntent(repository), { add: [{ role, key }], remove }) };
}

function withServerKeys(repository: TufRepository, pems: readonly string[]): TrustChange {
  if (pems.length > 4) {
    throw new TufError('REQUEST_UNFIT', `${pems.length} keys of desired states are too many; revoke old ones first`);
  }
  const { targets, delegations } = targetsIntent(repository);
  const { entry } = serverKeysTarget(pems);
  return {
    targets: { targets: { ...targets, [SERVER_KEYS_TARGET]: targetBody(entry) }, delegations },
    serverKeys: pems,
  };
}

/** The keys and thresholds of a root after a request. Throws TufError. */
export function rootWith(
  root: Pick<RootBody, 'keys' | 'roles'>,
  { add = [], remove = [], thresholds = [] }: RootRequest,
): Pick<RootBody, 'keys' | 'roles'> {
  const keys = { ...root.keys };
  const roles = structuredClone(root.roles);
  for (const { role, key } of add) {
    keys[key.keyid] = key.entry;
    roles[role].keyids = [...new Set([...roles[role].keyids, key.keyid])];
  }
  for (const { role, keyid } of remove) {
    const full = match(roles[role].keyids, keyid);
    if (full === null) throw new TufError('KEY_UNKNOWN', `${role} has no key ${keyid}; it has ${shown(roles[role])}`);
    roles[role].keyids = roles[role].keyids.filter((one) => one !== full);
  }
  for (const { role, threshold } of thresholds) roles[role].threshold = threshold;
  for (const role of TOP_ROLES) {
    const { keyids, threshold } = roles[role];
    if (keyids.length >= threshold) continue;
    throw new TufError(
      'KEY_LAST',
      `${role} would have ${keyids.length} keys and need ${threshold}; add another key first, or lower its threshold`,
    );
  }
  const used = new Set(TOP_ROLES.flatMap((role) => roles[role].keyids));
  return { keys: Object.fromEntries(Object.entries(keys).filter(([keyid]) => used.has(keyid))), roles };
}

/** Ids of a purpose's keys as they shall be: what is staged counts. */
export function keyidsOf(repository: TufRepository, purpose: KeyPurpose): string[] {
  if (purpose === 'desired') return repository.comingServerKeyIds();
  if (purpose === 'certified') return targetsIntent(repository).delegations?.roles[0].keyids ?? [];
  return rootIntent(repository).roles[purpose].keyids;
}

function rootIntent({ staged, state }: TufRepository): Pick<RootBody, 'keys' | 'roles'> {
  return staged.root?.signed ?? state.root.document.signed;
}

function targetsIntent({ staged, state }: TufRepository): Pick<TargetsBody, 'targets' | 'delegations'> {
  return staged.targets?.signed ?? state.targets.document.signed;
}

function findKey(repository: TufRepository, keyid: string): string {
  const purposes: KeyPurpose[] = [...TOP_ROLES, 'certified', 'desired'];
  const full = match([...new Set(purposes.flatMap((purpose) => keyidsOf(repository, purpose)))], keyid);
  if (full !== null) return full;
  throw new TufError('KEY_UNKNOWN', `no role has one key ${keyid}; vigie-server tuf status lists them`);
}

function chosen(purpose: KeyPurpose, present: readonly string[], keyid: string | undefined): string {
  const full = keyid === undefined ? null : match(present, keyid);
  if (full !== null) return full;
  if (keyid === undefined && present.length === 1) return present[0];
  throw new TufError(
    'KEY_UNKNOWN',
    `${purpose} has the keys ${present.map((one) => one.slice(0, 8)).join(', ')}; say with --key which of them to replace`,
  );
}

/** The one id that is this or begins so. */
function match(keyids: readonly string[], keyid: string): string | null {
  if (!/^[0-9a-f]{8,64}$/.test(keyid)) return null;
  const found = keyids.filter((one) => one.startsWith(keyid));
  return found.length === 1 ? found[0] : null;
}

function lastKey(purpose: KeyPurpose, keyid: string, wayOut: string): TufError {
  return new TufError('KEY_LAST', `key ${keyid.slice(0, 8)} is the last one of ${purpose}; ${wayOut}`);
}

function shown({ keyids }: RoleKeys): string {
  return keyids.map((keyid) => keyid.slice(0, 8)).join(', ');
}
