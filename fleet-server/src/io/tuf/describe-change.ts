import { SERVER_KEYS_TARGET } from '@vigie/protocol';
import { serverKeysTarget } from './bodies.js';
import { type RoleKeys, type RootBody, type TargetsBody, TOP_ROLES } from './metadata-schema.js';
import { type SignedDocument, validSigners } from './signed-document.js';
import { type PublicKey, parsePublicKey } from './signing-key.js';
import type { Staged, StagedRoot, StagedTargets } from './staging.js';

/**
 * What a signature would say yes to, in words, for a person at a machine without the fleet's data. The file comes from the
 * server, so nothing in it is believed but what it will sign: what it says was there before counts only where this very key
 * signed that, too; otherwise everything is told as new.
 */
export function describeStaged({ root, targets }: Staged, key: PublicKey): string[] {
  return [
    ...(root === undefined ? [] : describeRoot(root, key)),
    ...(targets === undefined ? [] : describeTargets(targets, key)),
  ];
}

function describeRoot({ signed, previous }: StagedRoot, key: PublicKey): string[] {
  const before = believed(previous, key);
  const lines = [heading('root', signed, before)];
  for (const role of TOP_ROLES) lines.push(...describeKeys(role, signed.roles[role], before?.roles[role]));
  return lines;
}

function describeTargets({ signed, previous, serverKeys }: StagedTargets, key: PublicKey): string[] {
  const before = believed(previous, key);
  const lines = [heading('targets', signed, before)];
  const certified = signed.delegations?.roles[0];
  if (certified === undefined) lines.push('  ! certificates: nobody may sign them');
  else lines.push(...describeKeys('certified', certified, before?.delegations?.roles[0]));
  for (const [path, target] of Object.entries(signed.targets)) {
    const old = before?.targets[path];
    if (path === SERVER_KEYS_TARGET) {
      if (old?.hashes.sha256 !== target.hashes.sha256)
        lines.push(...describeServerKeys(target.hashes.sha256, serverKeys));
    } else if (old?.hashes.sha256 !== target.hashes.sha256) {
      lines.push(`  ${old === undefined ? '+' : '!'} ${path}  SHA-256 ${target.hashes.sha256}, ${target.length} bytes`);
    }
  }
  for (const path of Object.keys(before?.targets ?? {}))
    if (signed.targets[path] === undefined) lines.push(`  - ${path}`);
  if (lines.length === 1) lines.push('  nothing but the version and the expiry changes');
  return lines;
}

function describeServerKeys(hash: string, pems: readonly string[] | undefined): string[] {
  if (pems === undefined || serverKeysTarget(pems).entry.sha256 !== hash)
    return [`  ! keys of desired states: a list with SHA-256 ${hash}, which is not in this file`];
  return pems.map((pem) => `  ! desired states may be signed by key ${parsePublicKey(pem, 'serverKeys').keyid}`);
}

function describeKeys(role: string, now: RoleKeys, before: RoleKeys | undefined): string[] {
  const lines = now.keyids
    .filter((keyid) => before?.keyids.includes(keyid) !== true)
    .map((keyid) => `  + ${role} may be signed by key ${keyid}`);
  for (const keyid of before?.keyids ?? [])
    if (!now.keyids.includes(keyid)) lines.push(`  - ${role} may no longer be signed by key ${keyid}`);
  if (before?.threshold !== now.threshold)
    lines.push(`  ! ${role} needs ${now.threshold} of ${now.keyids.length} keys`);
  return lines;
}

function believed<T>(previous: SignedDocument<T>, { keyid, entry }: PublicKey): T | undefined {
  const good = validSigners(previous, { keyids: [keyid], threshold: 1 }, { [keyid]: entry }).length === 1;
  return good ? previous.signed : undefined;
}

function heading(
  role: string,
  { version, expires }: RootBody | TargetsBody,
  before: { version: number } | undefined,
): string {
  const compared =
    before === undefined
      ? 'all of it, because this key did not sign the version before'
      : `changes since version ${before.version}, which this key signed`;
  return `${role} version ${version}, good until ${expires}; ${compared}:`;
}
