import { createHash } from 'node:crypto';
import { CERTIFIED_PATHS, SERVER_KEYS_TARGET } from '@vigie/protocol';
import type { TargetEntry } from '../../ports.js';
import type {
  MetaFile,
  Role,
  RoleKeys,
  RootBody,
  SnapshotBody,
  TargetBody,
  TargetsBody,
  TimestampBody,
  TopRole,
} from './metadata-schema.js';
import { SPEC_VERSION, TOP_ROLES } from './metadata-schema.js';
import type { PublicKey } from './signing-key.js';

export const DAY_MS = 86_400_000;

/** How long a signature of each role counts, ms. Online roles are signed anew once half of that is over. */
export const LIFETIME_MS: Record<Role, number> = {
  root: 365 * DAY_MS,
  targets: 90 * DAY_MS,
  certified: 7 * DAY_MS,
  snapshot: 7 * DAY_MS,
  timestamp: DAY_MS,
};

/** A role's keys and how many of them must sign. */
export interface RoleSetup {
  keys: readonly PublicKey[];
  threshold: number;
}

/** A time as TUF writes it: without a fraction (TUF 1.0.31, 4.1). */
export function tufTime(at: Date): string {
  return `${at.toISOString().slice(0, 19)}Z`;
}

export function head(role: Role, version: number, now: Date, lifetimeMs = LIFETIME_MS[role]) {
  const expires = tufTime(new Date(now.getTime() + lifetimeMs));
  return { spec_version: SPEC_VERSION, version, expires } as const;
}

/** The first root. Consistent snapshots (6.2): every version has a file and a topic of its own. */
export function firstRoot(setup: Record<TopRole, RoleSetup>, now: Date): RootBody {
  const keys: RootBody['keys'] = {};
  const roles = {} as RootBody['roles'];
  for (const role of TOP_ROLES) {
    for (const { keyid, entry } of setup[role].keys) keys[keyid] = entry;
    roles[role] = { keyids: setup[role].keys.map(({ keyid }) => keyid), threshold: setup[role].threshold };
  }
  return { _type: 'root', ...head('root', 1, now), consistent_snapshot: true, keys, roles };
}

/**
 * The delegation to `certified`. Terminating: nobody but this role says what is certified, whatever is delegated after it
 * (TUF 1.0.31, 5.6.7.2.1); it may say nothing but certificates.
 */
export function certifiedDelegation(setup: RoleSetup): NonNullable<TargetsBody['delegations']> {
  const role: RoleKeys = { keyids: setup.keys.map(({ keyid }) => keyid), threshold: setup.threshold };
  return {
    keys: Object.fromEntries(setup.keys.map(({ keyid, entry }) => [keyid, entry])),
    roles: [{ ...role, name: 'certified', terminating: true, paths: [CERTIFIED_PATHS] }],
  };
}

export function targetBody({ length, sha256, chunks }: Omit<TargetEntry, 'path'>): TargetBody {
  return { length, hashes: { sha256 }, ...(chunks === undefined ? {} : { custom: { chunks: [...chunks] } }) };
}

/** Targets by path, in the order of paths, so that the same list always gives the same bytes. */
export function targetMap(entries: readonly TargetEntry[]): TargetsBody['targets'] {
  const sorted = [...entries].sort((left, right) => (left.path < right.path ? -1 : 1));
  return Object.fromEntries(sorted.map((entry) => [entry.path, targetBody(entry)]));
}

/** The list of the keys of desired states: its bytes and its target. */
export function serverKeysTarget(pems: readonly string[]): { bytes: Buffer; entry: TargetEntry } {
  const bytes = Buffer.from(JSON.stringify({ keys: pems }));
  return { bytes, entry: { path: SERVER_KEYS_TARGET, length: bytes.length, sha256: sha256(bytes) } };
}

export function snapshotBody(
  version: number,
  files: { targets: MetaFile; certified: MetaFile },
  now: Date,
): SnapshotBody {
  const meta = { 'targets.json': files.targets, 'certified.json': files.certified };
  return { _type: 'snapshot', ...head('snapshot', version, now), meta };
}

export function timestampBody(version: number, snapshot: MetaFile, now: Date): TimestampBody {
  const meta = { 'snapshot.json': snapshot };
  return { _type: 'timestamp', ...head('timestamp', version, now), meta, issued_at: tufTime(now) };
}

/** How snapshot and timestamp name a file: version, length and hash, so that nobody sends endless or other bytes (4.4). */
export function metaFile(version: number, bytes: Buffer): MetaFile {
  return { version, length: bytes.length, hashes: { sha256: sha256(bytes) } };
}

export function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
