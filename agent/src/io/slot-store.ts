import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { type OpenPackage, openPackageDirectory } from '@vigie/models/package/package';
import { PackageError } from '@vigie/models/package/package-error';
import type { ReleaseDescriptor } from '@vigie/protocol';
import type { DeliveryOrder } from '../update/delivery.js';
import { InstallError } from '../update/install-error.js';
import type { PackageStore, StoredPackage } from '../update/ports.js';
import type { ChunkDelivery } from './delivery/chunk-delivery.js';
import { isChunk } from './delivery/verified-chunk.js';
import { asDiskError } from './disk-error.js';
import type { FileSystem, OpenFile } from './file-system.js';
import { nodeFileSystem } from './node-file-system.js';
import { filesBelow, openSized, readPiece, writeFully } from './slot-files.js';
import { type MissingChunk, planSlot, type SlotPlan } from './slot-plan.js';

export interface SlotStoreOptions {
  dataDirectory: string;
  /** Unpacked package that came with the agent: its chunks need not be fetched either. */
  bundledDirectory: string | null;
  /** Null: a stand-alone board, which fetches nothing. */
  delivery: ChunkDelivery | null;
  disk?: FileSystem;
}

/**
 * `<data>/slots/<digest>/`: unpacked packages. A package is written straight to its place and believed only after it was
 * checked whole, so a download that was cut off goes on where it stopped, without a record that could lie.
 */
export class SlotStore implements PackageStore {
  private readonly slots: string;
  private readonly disk: FileSystem;
  /** What the last survey found, for the filling that follows it: each byte is hashed once less. */
  private surveyed: { digest: string; plan: SlotPlan } | null = null;

  constructor(private readonly options: SlotStoreOptions) {
    this.slots = join(options.dataDirectory, 'slots');
    this.disk = options.disk ?? nodeFileSystem;
  }

  directoryOf(digest: string): string {
    return join(this.slots, digest);
  }

  /** Opens a slot if all of it is what its name says; null otherwise. */
  async open(digest: string): Promise<StoredPackage | null> {
    const directory = this.directoryOf(digest);
    const open = await openPackageDirectory(directory).catch(() => null);
    return open !== null && open.digest === digest ? { directory, open } : null;
  }

  async survey(
    descriptor: ReleaseDescriptor,
    signal: AbortSignal,
  ): Promise<{ missingBytes: number; fetchBytes: number; freeBytes: number }> {
    try {
      const plan = await this.plan(descriptor, signal);
      this.surveyed = { digest: descriptor.digest, plan };
      const fetchBytes = toFetch(plan).reduce((sum, chunk) => sum + chunk.length, 0);
      await this.disk.mkdir(this.slots);
      const freeBytes = await this.disk.freeBytes(this.slots);
      return { missingBytes: plan.totalBytes - plan.presentBytes, fetchBytes, freeBytes };
    } catch (error) {
      throw asDiskError(error);
    }
  }

  async fill(
    descriptor: ReleaseDescriptor,
    onProgress: (bytes: number, totalBytes: number) => void,
    signal: AbortSignal,
    order: DeliveryOrder,
  ): Promise<void> {
    const { surveyed } = this;
    this.surveyed = null;
    try {
      const plan = surveyed?.digest === descriptor.digest ? surveyed.plan : await this.plan(descriptor, signal);
      await this.carryOut(plan, onProgress, signal, order);
      const directory = this.directoryOf(descriptor.digest);
      const folders = new Set(descriptor.files.map((file) => dirname(join(directory, file.path))));
      for (const folder of [...folders, directory, this.slots]) await this.disk.syncDirectory(folder);
    } catch (error) {
      throw asDiskError(error);
    }
  }

  private async carryOut(
    plan: SlotPlan,
    onProgress: (bytes: number, totalBytes: number) => void,
    signal: AbortSignal,
    order: DeliveryOrder,
  ): Promise<void> {
    const { missing, totalBytes } = plan;
    let done = plan.presentBytes;
    onProgress(done, totalBytes);
    const handles = new Map<string, OpenFile>();
    const place = async (sha256: string, bytes: Buffer): Promise<void> => {
      for (const { path, offset, length } of missing.get(sha256)?.places ?? []) {
        await writeFully(handles.get(path) as OpenFile, bytes, offset);
        done += length;
      }
      missing.delete(sha256);
      onProgress(done, totalBytes);
    };
    try {
      for (const [path, { size }] of plan.files) handles.set(path, await openSized(this.disk, path, size));
      for (const [sha256, source] of plan.sources) {
        signal.throwIfAborted();
        const bytes = await readPiece(this.disk, source);
        // What lies there may be another's by now.
        if (bytes !== null && missing.has(sha256) && isChunk({ sha256, length: source.length }, bytes))
          await place(sha256, bytes);
      }
      const { delivery } = this.options;
      if (delivery === null && missing.size > 0) {
        throw new InstallError('CHUNK_MISSING', 'this board is in no fleet and fetches nothing');
      }
      await delivery?.fetch([...missing.values()], place, order, signal);
      for (const handle of handles.values()) await handle.datasync();
    } finally {
      for (const handle of handles.values()) await handle.close();
    }
  }

  async verify(descriptor: ReleaseDescriptor): Promise<StoredPackage> {
    const directory = this.directoryOf(descriptor.digest);
    const wanted = new Map(descriptor.files.map((file) => [file.path, file]));
    for (const path of await filesBelow(this.disk, directory)) {
      if (!wanted.has(path)) await this.disk.rm(join(directory, path));
    }
    let open: OpenPackage;
    try {
      open = await openPackageDirectory(directory);
    } catch (error) {
      if (!(error instanceof PackageError)) throw error;
      const corrupt = await this.corruptFile(descriptor);
      await this.discard(descriptor.digest);
      if (corrupt !== null) throw new InstallError('FILE_CORRUPT', `${corrupt} is not what the publisher signed`);
      throw new InstallError('PACKAGE_INVALID', `${error.code}: ${error.message}`, { cause: error });
    }
    const wrong = open.files.find((file) => wanted.get(file.path)?.sha256 !== file.sha256);
    if (wrong !== undefined) {
      await this.discard(descriptor.digest);
      throw new InstallError('FILE_CORRUPT', `${wrong.path} is not what the publisher signed`);
    }
    const { name, version } = open.manifest;
    if (open.digest !== descriptor.digest) {
      throw new InstallError('DIGEST_MISMATCH', `the files make ${open.digest}, not ${descriptor.digest}`);
    }
    if (name !== descriptor.name || version !== descriptor.version) {
      throw new InstallError(
        'PACKAGE_INVALID',
        `its manifest names ${name} ${version}, not ${descriptor.name} ${descriptor.version}`,
      );
    }
    return { directory, open };
  }

  async digests(): Promise<string[]> {
    return (await this.disk.list(this.slots).catch(() => [])).map(({ name }) => name);
  }

  async keepOnly(digests: readonly string[]): Promise<void> {
    this.surveyed = null;
    for (const { name } of await this.disk.list(this.slots).catch(() => [])) {
      if (!digests.includes(name)) await this.disk.rm(join(this.slots, name));
    }
  }

  /** The first file whose SHA-256 is not the signed one; null: all are right, so the package itself is at fault. */
  private async corruptFile({ digest, files }: ReleaseDescriptor): Promise<string | null> {
    for (const { path, sha256 } of files) {
      const hash = createHash('sha256');
      await pipeline(createReadStream(join(this.directoryOf(digest), path)), hash).catch(() => {});
      if (hash.digest('hex') !== sha256) return path;
    }
    return null;
  }

  private async discard(digest: string): Promise<void> {
    this.surveyed = null;
    await this.disk.rm(this.directoryOf(digest));
  }

  private plan(descriptor: ReleaseDescriptor, signal: AbortSignal): Promise<SlotPlan> {
    const others = async (): Promise<string[]> => {
      await this.disk.mkdir(this.slots);
      const slots = (await this.disk.list(this.slots)).map(({ name }) => join(this.slots, name));
      const { bundledDirectory } = this.options;
      return bundledDirectory === null ? slots : [...slots, bundledDirectory];
    };
    return planSlot(this.disk, descriptor, this.directoryOf(descriptor.digest), others, signal);
  }
}

/** What no place of this disk holds. */
function toFetch({ missing, sources }: SlotPlan): MissingChunk[] {
  return [...missing.values()].filter((chunk) => !sources.has(chunk.sha256));
}
