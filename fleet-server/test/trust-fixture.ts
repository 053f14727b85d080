import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Metadata, MetadataKind } from '@tufjs/models';
import { certificateTargetPath, releaseTargetPath } from '@vigie/protocol';
import { FolderTrustStorage, type TrustWriter } from '../src/io/tuf/folder-trust-storage.js';
import { KeyFolder } from '../src/io/tuf/key-folder.js';
import { signStaged } from '../src/io/tuf/sign-offline.js';
import { newSigningKey, type SigningKey } from '../src/io/tuf/signing-key.js';
import { TufRepository } from '../src/io/tuf/tuf-repository.js';
import type { Listing } from '../src/ports.js';

export const DAY = 86_400_000;
type Json = Parameters<typeof Metadata.fromJSON>[1];
const hash = (text: string) => Buffer.from(text.padEnd(32, '.')).subarray(0, 32).toString('hex');

/** Renames as the real one does, but leaves out the syncs that only a power cut could tell: tests write thousands of files. */
export const plainWriter: TrustWriter = {
  write: async (path, bytes) => {
    await writeFile(`${path}.tmp`, bytes);
    await rename(`${path}.tmp`, path);
  },
  remove: (path) => rm(path, { force: true }),
};

/** These releases of model `m`, each with its certificate. */
export function listing(...versions: string[]): Listing {
  return {
    releases: versions.map((version) => ({ path: releaseTargetPath('m', version), length: 10, sha256: hash(version) })),
    certificates: versions.map((version) => ({
      path: certificateTargetPath(hash(version)),
      length: 20,
      sha256: hash(`c${version}`),
    })),
  };
}

/** A repository in a folder of its own, a clock that is set by hand, and the offline keys of its root and targets. */
export class TrustFixture {
  at = Date.parse('2026-11-21T07:00:00Z');
  root: SigningKey[] = [];
  targets: SigningKey[] = [];
  readonly now = () => new Date(this.at);

  private constructor(readonly folder: string) {}

  /** `offline`: with 2 of 3 keys for root and targets that are not in the keys folder. */
  static async create(offline = false): Promise<TrustFixture> {
    const fixture = new TrustFixture(await mkdtemp(join(tmpdir(), 'vigie-tuf-')));
    const keys = await fixture.keys();
    for (const purpose of ['certified', 'snapshot', 'timestamp', 'desired'] as const) await keys.create(purpose);
    if (offline) {
      fixture.root = [newSigningKey(), newSigningKey(), newSigningKey()];
      fixture.targets = [newSigningKey(), newSigningKey(), newSigningKey()];
    } else {
      fixture.root = [await keys.create('root')];
      fixture.targets = [await keys.create('targets')];
    }
    const threshold = offline ? 2 : 1;
    await TufRepository.create(
      { storage: new FolderTrustStorage(fixture.directory), keys, now: fixture.now },
      { root: { keys: fixture.root, threshold }, targets: { keys: fixture.targets, threshold } },
    );
    return fixture;
  }

  get directory(): string {
    return join(this.folder, 'tuf');
  }

  keys(): Promise<KeyFolder> {
    return KeyFolder.open(join(this.folder, 'keys'));
  }

  async open(writer: TrustWriter = plainWriter): Promise<TufRepository> {
    return TufRepository.open({
      storage: new FolderTrustStorage(this.directory, writer),
      keys: await this.keys(),
      now: this.now,
    });
  }

  async drop(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** Signs what is staged with these keys, as people at other machines would; returns whether something was published. */
export async function signAll(repository: TufRepository, keys: readonly SigningKey[]): Promise<boolean> {
  const staged = structuredClone(repository.staged);
  const able = keys.filter(({ keyid }) =>
    [staged.root, staged.targets].some((one) => one?.signers.some(({ keyids }) => keyids.includes(keyid))),
  );
  return repository.accept({ signatures: able.flatMap((key) => signStaged(staged, key).signatures) });
}

/**
 * Checks everything that is published with an implementation that is not ours: each root follows the one before it, the rest is
 * signed as its delegator asks, listed with its hash, and not expired. Returns the paths that `targets` and `certified` list.
 */
export function verifyPublished(repository: TufRepository, now: Date): { releases: string[]; certified: string[] } {
  const bytes = new Map(repository.metadata().map((one) => [`${one.version}.${one.role}`, one.bytes]));
  const json = (name: string) => JSON.parse((bytes.get(name) as Buffer).toString()) as Json;
  const versions = repository.versions();
  let root = Metadata.fromJSON(MetadataKind.Root, json('1.root'));
  root.verifyDelegate('root', root);
  for (let version = 2; version <= versions.root; version += 1) {
    const next = Metadata.fromJSON(MetadataKind.Root, json(`${version}.root`));
    root.verifyDelegate('root', next);
    next.verifyDelegate('root', next);
    root = next;
  }
  const timestamp = Metadata.fromJSON(MetadataKind.Timestamp, json(`${versions.timestamp}.timestamp`));
  root.verifyDelegate('timestamp', timestamp);
  const { snapshotMeta } = timestamp.signed;
  snapshotMeta.verify(bytes.get(`${snapshotMeta.version}.snapshot`) as Buffer);
  const snapshot = Metadata.fromJSON(MetadataKind.Snapshot, json(`${snapshotMeta.version}.snapshot`));
  root.verifyDelegate('snapshot', snapshot);
  const open = (role: 'targets' | 'certified') => {
    const meta = snapshot.signed.meta[`${role}.json`];
    meta.verify(bytes.get(`${meta.version}.${role}`) as Buffer);
    return Metadata.fromJSON(MetadataKind.Targets, json(`${meta.version}.${role}`));
  };
  const targets = open('targets');
  root.verifyDelegate('targets', targets);
  const certified = open('certified');
  targets.verifyDelegate('certified', certified);
  for (const { signed } of [root, timestamp, snapshot, targets, certified])
    if (signed.isExpired(now)) throw new Error(`${signed.type} ${signed.version} expired`);
  const paths = (one: typeof targets) => Object.keys(one.signed.targets).sort();
  return { releases: paths(targets).filter((path) => path.startsWith('releases/')), certified: paths(certified) };
}
