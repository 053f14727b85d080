import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Static, TSchema } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';
import { SERVER_KEYS_TARGET } from '@vigie/protocol';
import { privateFolder, writeAtomic } from '../atomic-file.js';
import { sha256 } from './bodies.js';
import { documentOf, type MetaFile, RootBody, SnapshotBody, TargetsBody, TimestampBody } from './metadata-schema.js';
import { isSigned } from './signed-document.js';
import { certifiedUnder, mayFollow, type Published, signedUnder, type TrustState } from './trust-state.js';
import { TufError } from './tuf-error.js';

/** How files are written: replaced in tests that cut it short. */
export interface TrustWriter {
  write(path: string, bytes: Buffer | string): Promise<void>;
  remove(path: string): Promise<void>;
}

export const diskWriter: TrustWriter = {
  write: writeAtomic,
  remove: (path) => rm(path, { force: true }),
};

export interface LoadedTrust {
  state: TrustState;
  /** Every root by version. */
  roots: Published<RootBody>[];
}

/**
 * The repository's folder, with consistent snapshots (TUF 1.0.31, 6.2): `N.root.json`, `N.targets.json`, `N.certified.json`,
 * `N.snapshot.json`, `timestamp.json`, and `HASH.server-keys.json`. The rename of the timestamp is the commit: what an
 * interrupted change left above the versions it leads to was never published, and is written over.
 */
export class TrustFiles {
  constructor(
    readonly directory: string,
    private readonly writer: TrustWriter = diskWriter,
  ) {}

  async isThere(): Promise<boolean> {
    await privateFolder(this.directory);
    return (await readdir(this.directory)).includes('timestamp.json');
  }

  /** Loads and checks everything but what only a change of the root can explain; see `TufRepository.open`. Throws TufError. */
  async load(): Promise<LoadedTrust> {
    try {
      const roots = await this.#loadRoots();
      const root = roots[roots.length - 1];
      const timestamp = await this.#load('timestamp.json', documentOf(TimestampBody), null);
      const { 'snapshot.json': snapshotMeta } = timestamp.document.signed.meta;
      const snapshot = await this.#load(
        `${snapshotMeta.version}.snapshot.json`,
        documentOf(SnapshotBody),
        snapshotMeta,
      );
      const { meta } = snapshot.document.signed;
      const targetsMeta = meta['targets.json'];
      const certifiedMeta = meta['certified.json'];
      const targets = await this.#load(`${targetsMeta.version}.targets.json`, documentOf(TargetsBody), targetsMeta);
      const certified = await this.#load(
        `${certifiedMeta.version}.certified.json`,
        documentOf(TargetsBody),
        certifiedMeta,
      );
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
        `${this.directory}: ${(error as Error).message}; restore this folder from a backup`,
        { cause: error },
      );
    }
  }

  /** Writes what is new, the timestamp last. */
  async commit(before: TrustState, after: TrustState): Promise<void> {
    if (after.root !== before.root) await this.#write(nameOf('root', after), after.root.bytes);
    for (const role of ['targets', 'certified', 'snapshot'] as const)
      if (after[role] !== before[role]) await this.#write(nameOf(role, after), after[role].bytes);
    if (after.timestamp !== before.timestamp) await this.#write('timestamp.json', after.timestamp.bytes);
  }

  /** A first set: nothing is there before its timestamp. */
  async create(state: TrustState): Promise<void> {
    for (const role of ['root', 'targets', 'certified', 'snapshot'] as const)
      await this.#write(nameOf(role, state), state[role].bytes);
    await this.#write('timestamp.json', state.timestamp.bytes);
  }

  /** The bytes of a list of server keys. Throws TufError. */
  async serverKeys(hash: string): Promise<Buffer> {
    const name = `${hash}.${SERVER_KEYS_TARGET}`;
    const bytes = await readFile(join(this.directory, name)).catch(() => null);
    if (bytes !== null && sha256(bytes) === hash) return bytes;
    throw new TufError(
      'TUF_REPOSITORY_INVALID',
      `${join(this.directory, name)}: is missing or damaged; restore this folder from a backup`,
    );
  }

  async writeServerKeys(bytes: Buffer): Promise<void> {
    await this.#write(`${sha256(bytes)}.${SERVER_KEYS_TARGET}`, bytes);
  }

  /** Deletes versions that are neither kept nor above what is committed. Roots always stay: a board may be at any of them. */
  async sweep(keptMetadata: ReadonlySet<string>, keptServerKeys: ReadonlySet<string>): Promise<void> {
    for (const name of await readdir(this.directory)) {
      const list = /^([0-9a-f]{64})\.server-keys\.json$/.exec(name)?.[1];
      const old = /^\d+\.(targets|certified|snapshot)\.json$/.test(name) && !keptMetadata.has(name);
      if (old || (list !== undefined && !keptServerKeys.has(list)))
        await this.writer.remove(join(this.directory, name));
    }
  }

  async #loadRoots(): Promise<Published<RootBody>[]> {
    const names = await readdir(this.directory);
    const newest = Math.max(...names.flatMap((name) => /^(\d+)\.root\.json$/.exec(name)?.[1] ?? []).map(Number));
    if (!Number.isFinite(newest)) throw new Error('holds no root');
    const roots: Published<RootBody>[] = [];
    for (let version = 1; version <= newest; version += 1) {
      const root = await this.#load(`${version}.root.json`, documentOf(RootBody), null);
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

  async #load<S extends TSchema>(
    name: string,
    schema: S,
    meta: MetaFile | null,
  ): Promise<{ document: Static<S>; bytes: Buffer }> {
    const bytes = await readFile(join(this.directory, name));
    const document: unknown = JSON.parse(bytes.toString());
    const problem = Value.Errors(schema, document).First();
    if (problem !== undefined) throw new Error(`${name}${problem.path}: ${problem.message}`);
    if (meta !== null && (bytes.length !== meta.length || sha256(bytes) !== meta.hashes.sha256))
      throw new Error(`${name} is not what the metadata above it lists`);
    return { document: document as Static<S>, bytes };
  }

  async #write(name: string, bytes: Buffer): Promise<void> {
    await this.writer.write(join(this.directory, name), bytes);
  }
}

/** File name of a role's present version. */
export function nameOf(role: keyof TrustState, state: TrustState): string {
  return role === 'timestamp' ? 'timestamp.json' : `${state[role].document.signed.version}.${role}.json`;
}
