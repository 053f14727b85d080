import type { Static, TSchema } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';
import { SERVER_KEYS_TARGET } from '@vigie/protocol';
import { sha256 } from './bodies.js';
import { documentOf, type MetaFile, RootBody, SnapshotBody, TargetsBody, TimestampBody } from './metadata-schema.js';
import { isSigned } from './signed-document.js';
import { certifiedUnder, mayFollow, type Published, signedUnder, type TrustState } from './trust-state.js';
import type { TrustWrite } from './trust-storage.js';
import { TufError } from './tuf-error.js';

export interface LoadedTrust {
  state: TrustState;
  /** Every root by version. */
  roots: Published<RootBody>[];
}

/** Is a complete repository among these files? */
export function isTrustThere(files: ReadonlyMap<string, Buffer>): boolean {
  return files.has('timestamp.json');
}

/**
 * The repository's files, with consistent snapshots (TUF 1.0.31, 6.2): `N.root.json`, `N.targets.json`, `N.certified.json`,
 * `N.snapshot.json`, `timestamp.json`, and `HASH.server-keys.json`. The timestamp is written last, and its write is the commit:
 * what an interrupted change left above the versions it leads to was never published, and is written over.
 */
export class TrustFiles {
  constructor(
    private readonly place: string,
    private readonly files: ReadonlyMap<string, Buffer>,
  ) {}

  /** Loads and checks everything but what only a change of the root can explain; see `TufRepository.open`. Throws TufError. */
  load(): LoadedTrust {
    try {
      const roots = this.#loadRoots();
      const root = roots[roots.length - 1];
      const timestamp = this.#load('timestamp.json', documentOf(TimestampBody), null);
      const { 'snapshot.json': snapshotMeta } = timestamp.document.signed.meta;
      const snapshot = this.#load(`${snapshotMeta.version}.snapshot.json`, documentOf(SnapshotBody), snapshotMeta);
      const { meta } = snapshot.document.signed;
      const targetsMeta = meta['targets.json'];
      const certifiedMeta = meta['certified.json'];
      const targets = this.#load(`${targetsMeta.version}.targets.json`, documentOf(TargetsBody), targetsMeta);
      const certified = this.#load(`${certifiedMeta.version}.certified.json`, documentOf(TargetsBody), certifiedMeta);
      const state: TrustState = { root, targets, certified, snapshot, timestamp };
      // A crash between a new root and what had to be signed anew for it leaves the rest signed under the root before.
      const before = roots[roots.length - 2];
      for (const role of ['targets', 'snapshot', 'timestamp'] as const) {
        const { document } = state[role];
        const under = [root, before].some(
          (one) => one !== undefined && signedUnder(one.document.signed, role, document),
        );
        if (!under) throw new Error(`${role} ${document.signed.version} is not signed as the root asks`);
      }
      if (!certifiedUnder(targets.document.signed, certified.document))
        throw new Error(`certified ${certified.document.signed.version} is not signed as targets asks`);
      return { state, roots };
    } catch (error) {
      throw new TufError(
        'TUF_REPOSITORY_INVALID',
        `${this.place}: ${(error as Error).message}; restore it from a backup`,
        { cause: error },
      );
    }
  }

  /** The bytes of a list of server keys. Throws TufError. */
  serverKeys(hash: string): Buffer {
    const name = serverKeysName(hash);
    const bytes = this.files.get(name);
    if (bytes !== undefined && sha256(bytes) === hash) return bytes;
    throw new TufError(
      'TUF_REPOSITORY_INVALID',
      `${this.place}/${name}: is missing or damaged; restore it from a backup`,
    );
  }

  #loadRoots(): Published<RootBody>[] {
    const names = [...this.files.keys()];
    const newest = Math.max(...names.flatMap((name) => /^(\d+)\.root\.json$/.exec(name)?.[1] ?? []).map(Number));
    if (!Number.isFinite(newest)) throw new Error('holds no root');
    const roots: Published<RootBody>[] = [];
    for (let version = 1; version <= newest; version += 1) {
      const root = this.#load(`${version}.root.json`, documentOf(RootBody), null);
      const { signed } = root.document;
      const before = roots[roots.length - 1]?.document.signed;
      const good =
        before === undefined
          ? signed.version === 1 && isSigned(root.document, signed.roles.root, signed.keys)
          : mayFollow(before, root.document);
      if (!good) throw new Error(`root ${version} does not follow the one before it`);
      roots.push(root);
    }
    return roots;
  }

  #load<S extends TSchema>(name: string, schema: S, meta: MetaFile | null): { document: Static<S>; bytes: Buffer } {
    const bytes = this.files.get(name);
    if (bytes === undefined) throw new Error(`${name} is missing`);
    const document: unknown = JSON.parse(bytes.toString());
    const problem = Value.Errors(schema, document).First();
    if (problem !== undefined) throw new Error(`${name}${problem.path}: ${problem.message}`);
    if (meta !== null && (bytes.length !== meta.length || sha256(bytes) !== meta.hashes.sha256))
      throw new Error(`${name} is not what the metadata above it lists`);
    return { document: document as Static<S>, bytes };
  }
}

/** What makes the files equal to `after`, the timestamp last; without `before`: a first set. */
export function trustWrites(before: TrustState | null, after: TrustState): TrustWrite[] {
  const roles = ['root', 'targets', 'certified', 'snapshot', 'timestamp'] as const;
  return roles
    .filter((role) => before === null || after[role] !== before[role])
    .map((role) => ({ name: nameOf(role, after), bytes: after[role].bytes }));
}

/** Takes away versions that are neither kept nor above what is committed. Roots always stay: a board may be at any of them. */
export function sweepWrites(
  names: Iterable<string>,
  keptMetadata: ReadonlySet<string>,
  keptServerKeys: ReadonlySet<string>,
): TrustWrite[] {
  const gone = [...names].filter((name) => {
    const list = /^([0-9a-f]{64})\.server-keys\.json$/.exec(name)?.[1];
    const old = /^\d+\.(targets|certified|snapshot)\.json$/.test(name) && !keptMetadata.has(name);
    return old || (list !== undefined && !keptServerKeys.has(list));
  });
  return gone.map((name) => ({ name, bytes: null }));
}

export function serverKeysName(hash: string): string {
  return `${hash}.${SERVER_KEYS_TARGET}`;
}

/** File name of a role's present version. */
export function nameOf(role: keyof TrustState, state: TrustState): string {
  return role === 'timestamp' ? 'timestamp.json' : `${state[role].document.signed.version}.${role}.json`;
}
