import { createHash } from 'node:crypto';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Metadata, MetadataKind, MetaFile, Root, Snapshot, TargetFile, Targets, Timestamp } from '@tufjs/models';
import { MAX_MESSAGE_BYTES } from '@vigie/protocol';
import type { Now, SignedMetadata, TargetEntry, TargetRepository } from '../../ports.js';
import { privateFolder, writeAtomic } from '../atomic-file.js';
import { type ServerKeys, tufKey, tufSigner } from './keys.js';

const DAY = 86_400_000;
/** How long a signature of each role counts, ms. It is renewed once half of that is over. */
const LIFETIME = { root: 365 * DAY, targets: 90 * DAY, snapshot: 7 * DAY, timestamp: DAY } as const;
type Role = keyof typeof LIFETIME;
const ROLES: readonly Role[] = ['root', 'targets', 'snapshot', 'timestamp'];
const SPEC_VERSION = '1.0.31';

/** The repository's files are damaged or do not fit its keys: the server does not start with them. */
export class TufRepositoryError extends Error {
  readonly code = 'TUF_REPOSITORY_INVALID';
}

interface Signed<T extends Root | Targets | Snapshot | Timestamp> {
  metadata: Metadata<T>;
  bytes: Buffer;
}

interface Current {
  root: Signed<Root>;
  targets: Signed<Targets>;
  snapshot: Signed<Snapshot>;
  timestamp: Signed<Timestamp>;
}

/**
 * TUF metadata in a folder, with consistent snapshots: `N.root.json`, `N.targets.json`, `N.snapshot.json`, `timestamp.json`.
 * A change writes targets, then snapshot, then the timestamp: its rename is the commit. What an interrupted change left
 * above the committed versions was never published and is written over.
 */
export class TufRepository implements TargetRepository {
  readonly #directory: string;
  readonly #keys: ServerKeys;
  readonly #now: Now;
  #current: Current;
  /** Every root by version, and the previous targets and snapshot: a board may be between two of them. */
  #roots: SignedMetadata[];
  #previous: SignedMetadata[] = [];

  private constructor(directory: string, keys: ServerKeys, now: Now, current: Current, roots: SignedMetadata[]) {
    this.#directory = directory;
    this.#keys = keys;
    this.#now = now;
    this.#current = current;
    this.#roots = roots;
  }

  /** Makes the first version of each role, unless a complete repository is there. */
  static async create(directory: string, keys: ServerKeys, now: Now): Promise<void> {
    await privateFolder(directory);
    if ((await readdir(directory)).includes('timestamp.json')) return;
    const at = now();
    const root = signRoot(keys, 1, at);
    const targets = signTargets(keys, 1, [], at);
    const snapshot = signSnapshot(keys, 1, targets, at);
    const timestamp = signTimestamp(keys, 1, snapshot, at);
    await writeAtomic(join(directory, '1.root.json'), root.bytes);
    await writeAtomic(join(directory, '1.targets.json'), targets.bytes);
    await writeAtomic(join(directory, '1.snapshot.json'), snapshot.bytes);
    await writeAtomic(join(directory, 'timestamp.json'), timestamp.bytes);
  }

  /** Loads and verifies a repository. Throws TufRepositoryError. */
  static async open(directory: string, keys: ServerKeys, now: Now): Promise<TufRepository> {
    try {
      const names = await readdir(directory);
      const rootVersions = names.flatMap((name) => /^(\d+)\.root\.json$/.exec(name)?.[1] ?? []).map(Number);
      const newest = Math.max(...rootVersions);
      const roots: SignedMetadata[] = [];
      for (let version = 1; version <= newest; version += 1) {
        roots.push({ role: 'root', version, bytes: await readFile(join(directory, `${version}.root.json`)) });
      }
      const rootFile = await readJson(directory, `${newest}.root.json`);
      const timestampFile = await readJson(directory, 'timestamp.json');
      const root = { ...rootFile, metadata: Metadata.fromJSON(MetadataKind.Root, rootFile.json) };
      const timestamp = { ...timestampFile, metadata: Metadata.fromJSON(MetadataKind.Timestamp, timestampFile.json) };
      const snapshotFile = await readJson(directory, `${timestamp.metadata.signed.snapshotMeta.version}.snapshot.json`);
      const snapshot = { ...snapshotFile, metadata: Metadata.fromJSON(MetadataKind.Snapshot, snapshotFile.json) };
      const targetsFile = await readJson(
        directory,
        `${snapshot.metadata.signed.meta['targets.json'].version}.targets.json`,
      );
      const targets = { ...targetsFile, metadata: Metadata.fromJSON(MetadataKind.Targets, targetsFile.json) };
      const current: Current = { root, targets, snapshot, timestamp };
      for (const role of ROLES) current.root.metadata.verifyDelegate(role, current[role].metadata);
      return new TufRepository(directory, keys, now, current, roots);
    } catch (error) {
      throw new TufRepositoryError(`${directory}: ${(error as Error).message}; restore this folder from a backup`, {
        cause: error,
      });
    }
  }

  async setTargets(entries: readonly TargetEntry[]): Promise<boolean> {
    const listed = this.#current.targets.metadata.signed.targets;
    const same =
      Object.keys(listed).length === entries.length &&
      entries.every(
        ({ path, length, sha256 }) => listed[path]?.length === length && listed[path].hashes.sha256 === sha256,
      );
    if (same) return false;
    await this.#commit(entries);
    return true;
  }

  async renew(): Promise<boolean> {
    const due = (role: Role) => {
      const left = new Date(this.#current[role].metadata.signed.expires).getTime() - this.#now().getTime();
      return left < LIFETIME[role] / 2;
    };
    if (due('root')) await this.#renewRoot();
    if (due('targets')) {
      const listed = Object.values(this.#current.targets.metadata.signed.targets);
      await this.#commit(listed.map(({ path, length, hashes }) => ({ path, length, sha256: hashes.sha256 })));
    } else if (due('snapshot')) {
      await this.#commit(null);
    } else if (due('timestamp')) {
      const timestamp = signTimestamp(
        this.#keys,
        this.#versionOf('timestamp') + 1,
        this.#current.snapshot,
        this.#now(),
      );
      await writeAtomic(join(this.#directory, 'timestamp.json'), timestamp.bytes);
      this.#current = { ...this.#current, timestamp };
    } else {
      return false;
    }
    return true;
  }

  metadata(): SignedMetadata[] {
    const newest = (['targets', 'snapshot', 'timestamp'] as const).map((role) => ({
      role,
      version: this.#versionOf(role),
      bytes: this.#current[role].bytes,
    }));
    return [...this.#roots, ...this.#previous, ...newest];
  }

  versions(): { root: number; targets: number; snapshot: number; timestamp: number } {
    return {
      root: this.#versionOf('root'),
      targets: this.#versionOf('targets'),
      snapshot: this.#versionOf('snapshot'),
      timestamp: this.#versionOf('timestamp'),
    };
  }

  rootText(): string {
    return this.#current.root.bytes.toString();
  }

  #versionOf(role: Role): number {
    return this.#current[role].metadata.signed.version;
  }

  /** Signs targets (unless null), snapshot and timestamp, each one version up. */
  async #commit(entries: readonly TargetEntry[] | null): Promise<void> {
    const at = this.#now();
    const before = this.#current;
    const targets =
      entries === null ? before.targets : signTargets(this.#keys, this.#versionOf('targets') + 1, entries, at);
    if (targets.bytes.length > MAX_MESSAGE_BYTES) {
      throw new RangeError(
        `targets with ${entries?.length} releases takes ${targets.bytes.length} bytes, at most ${MAX_MESSAGE_BYTES} travel`,
      );
    }
    const snapshot = signSnapshot(this.#keys, this.#versionOf('snapshot') + 1, targets, at);
    const timestamp = signTimestamp(this.#keys, this.#versionOf('timestamp') + 1, snapshot, at);
    if (entries !== null)
      await writeAtomic(join(this.#directory, `${targets.metadata.signed.version}.targets.json`), targets.bytes);
    await writeAtomic(join(this.#directory, `${snapshot.metadata.signed.version}.snapshot.json`), snapshot.bytes);
    await writeAtomic(join(this.#directory, 'timestamp.json'), timestamp.bytes);
    this.#current = { ...before, targets, snapshot, timestamp };
    const superseded = (role: 'targets' | 'snapshot') => ({
      role,
      version: before[role].metadata.signed.version,
      bytes: before[role].bytes,
    });
    const keptTargets = this.#previous.filter(({ role }) => role === 'targets');
    this.#previous = [...(entries === null ? keptTargets : [superseded('targets')]), superseded('snapshot')];
    await this.#dropOldFiles();
  }

  async #renewRoot(): Promise<void> {
    const root = signRoot(this.#keys, this.#versionOf('root') + 1, this.#now());
    const version = root.metadata.signed.version;
    await writeAtomic(join(this.#directory, `${version}.root.json`), root.bytes);
    this.#current = { ...this.#current, root };
    this.#roots = [...this.#roots, { role: 'root', version, bytes: root.bytes }];
  }

  async #dropOldFiles(): Promise<void> {
    const kept = new Set(this.metadata().map(({ role, version }) => `${version}.${role}.json`));
    for (const name of await readdir(this.#directory)) {
      if (/^\d+\.(targets|snapshot)\.json$/.test(name) && !kept.has(name))
        await rm(join(this.#directory, name), { force: true });
    }
  }
}

type Json = Parameters<typeof Metadata.fromJSON>[1];

async function readJson(directory: string, name: string): Promise<{ json: Json; bytes: Buffer }> {
  const bytes = await readFile(join(directory, name));
  return { json: JSON.parse(bytes.toString()) as Json, bytes };
}

function common(version: number, role: Role, at: Date): { version: number; specVersion: string; expires: string } {
  // TUF writes times without a fraction (4.1).
  const expires = `${new Date(at.getTime() + LIFETIME[role]).toISOString().slice(0, 19)}Z`;
  return { version, specVersion: SPEC_VERSION, expires };
}

function seal<T extends Root | Targets | Snapshot | Timestamp>(signed: T, keys: ServerKeys, role: Role): Signed<T> {
  const metadata = new Metadata(signed);
  metadata.sign(tufSigner(keys[role]));
  return { metadata, bytes: Buffer.from(JSON.stringify(metadata.toJSON())) };
}

function signRoot(keys: ServerKeys, version: number, at: Date): Signed<Root> {
  const root = new Root({ ...common(version, 'root', at), consistentSnapshot: true });
  for (const role of ROLES) root.addKey(tufKey(keys[role]), role);
  return seal(root, keys, 'root');
}

function signTargets(keys: ServerKeys, version: number, entries: readonly TargetEntry[], at: Date): Signed<Targets> {
  const targets = new Targets(common(version, 'targets', at));
  for (const { path, length, sha256 } of entries)
    targets.addTarget(new TargetFile({ path, length, hashes: { sha256 } }));
  return seal(targets, keys, 'targets');
}

function signSnapshot(keys: ServerKeys, version: number, targets: Signed<Targets>, at: Date): Signed<Snapshot> {
  const meta = { 'targets.json': metaFile(targets) };
  return seal(new Snapshot({ ...common(version, 'snapshot', at), meta }), keys, 'snapshot');
}

function signTimestamp(keys: ServerKeys, version: number, snapshot: Signed<Snapshot>, at: Date): Signed<Timestamp> {
  return seal(
    new Timestamp({ ...common(version, 'timestamp', at), snapshotMeta: metaFile(snapshot) }),
    keys,
    'timestamp',
  );
}

function metaFile(signed: Signed<Targets> | Signed<Snapshot>): MetaFile {
  const sha256 = createHash('sha256').update(signed.bytes).digest('hex');
  return new MetaFile({ version: signed.metadata.signed.version, length: signed.bytes.length, hashes: { sha256 } });
}
