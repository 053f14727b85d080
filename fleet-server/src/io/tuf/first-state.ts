import { SERVER_KEYS_TARGET } from '@vigie/protocol';
import {
  certifiedDelegation,
  firstRoot,
  head,
  metaFile,
  type RoleSetup,
  serverKeysTarget,
  snapshotBody,
  targetMap,
  timestampBody,
} from './bodies.js';
import type { KeyFolder } from './key-folder.js';
import type { TargetsBody } from './metadata-schema.js';
import { publish } from './next-state.js';
import { signWith } from './signed-document.js';
import { publicPem, type SigningKey } from './signing-key.js';
import type { TrustState } from './trust-state.js';

/** Keys of the roles that may be kept offline. Their private halves are used once, here. */
export interface OfflineSetup {
  root: RoleSetup & { keys: readonly SigningKey[] };
  targets: RoleSetup & { keys: readonly SigningKey[] };
}

/** Version 1 of everything, with the online keys of the folder. */
export function firstState(
  folder: KeyFolder,
  { root, targets }: OfflineSetup,
  now: Date,
): { state: TrustState; serverKeys: Buffer } {
  const online = (role: 'certified' | 'snapshot' | 'timestamp') => ({ keys: folder.of(role), threshold: 1 });
  const rootBody = firstRoot({ root, targets, snapshot: online('snapshot'), timestamp: online('timestamp') }, now);
  const list = serverKeysTarget(folder.of('desired').map(publicPem));
  const targetsBody: TargetsBody = {
    _type: 'targets',
    ...head('targets', 1, now),
    targets: targetMap([{ ...list.entry, path: SERVER_KEYS_TARGET }]),
    delegations: certifiedDelegation(online('certified')),
  };
  const certifiedBody: TargetsBody = { _type: 'targets', ...head('certified', 1, now), targets: {} };
  const signed = <T>(role: keyof TrustState, body: T, keys: readonly SigningKey[]) =>
    publish(role, signWith({ signatures: [], signed: body }, keys));
  const publishedTargets = signed('targets', targetsBody, targets.keys);
  const certified = signed('certified', certifiedBody, online('certified').keys);
  const files = { targets: metaFile(1, publishedTargets.bytes), certified: metaFile(1, certified.bytes) };
  const snapshot = signed('snapshot', snapshotBody(1, files, now), online('snapshot').keys);
  const timestamp = signed('timestamp', timestampBody(1, metaFile(1, snapshot.bytes), now), online('timestamp').keys);
  const state = {
    root: signed('root', rootBody, root.keys),
    targets: publishedTargets,
    certified,
    snapshot,
    timestamp,
  };
  return { state, serverKeys: list.bytes };
}
