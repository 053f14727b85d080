import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { mkdir, readdir, rm, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { type OpenPackage, openPackageDirectory } from '@vigie/models/package/package';
import { PackageError } from '@vigie/models/package/package-error';
import { CHUNK_BYTES, type ReleaseDescriptor } from '@vigie/protocol';
import { InstallError } from '../update/install-error.js';
import type { PackageStore, StoredPackage } from '../update/ports.js';
import { syncDirectory } from './atomic-file.js';
import type { ChunkFetcher } from './chunk-fetcher.js';
import { eachPiece, filesBelow, openSized, type Place, readPiece } from './slot-files.js';

export interface SlotStoreOptions {
  dataDirectory: string;
  /** Unpacked package that came with the agent: its pieces need not be fetched either. */
  bundledDirectory: string | null;
  /** Null: a stand-alone board, which fetches nothing. */
  chunks: ChunkFetcher | null;
}

interface Plan {
  /** Where each missing chunk belongs; one chunk may belong to several places. */
  missing: Map<string, Place[]>;
  /** The same chunk elsewhere on this disk. */
  sources: Map<string, Place>;
  presentBytes: number;
  totalBytes: number;
}

/**
 * `<data>/slots/<digest>/`: unpacked packages. A package is written straight to its place and believed only after it was
 * checked whole, so a download that was cut off goes on where it stopped, without a record that could lie.
 */
export class SlotStore implements PackageStore {
  private readonly slots: string;

  constructor(private readonly options: SlotStoreOptions) {
    this.slots = join(options.dataDirectory, 'slots');
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
  ): Promise<{ missingBytes: number; freeBytes: number }> {
    await mkdir(this.slots, { recursive: true });
    const { presentBytes, totalBytes } = await this.present(descriptor, signal);
    const { bavail, bsize } = await statfs(this.slots);
    return { missingBytes: totalBytes - presentBytes, freeBytes: bavail * bsize };
  }

  async fill(
    descriptor: ReleaseDescriptor,
    onProgress: (bytes: number, totalBytes: number) => void,
    signal: AbortSignal,
  ): Promise<{ fetchedBytes: number }> {
    const directory = this.directoryOf(descriptor.digest);
    const plan = await this.plan(descriptor, signal);
    let done = plan.presentBytes;
    let fetchedBytes = 0;
    onProgress(done, plan.totalBytes);
    const handles = new Map<string, FileHandle>();
    const place = async (sha256: string, bytes: Buffer): Promise<void> => {
      for (const { path, offset, length } of plan.missing.get(sha256) ?? []) {
        if (length !== bytes.length) {
          throw new InstallError('DESCRIPTOR_INVALID', `chunk ${sha256} has ${bytes.length} bytes, ${length} fit`);
        }
        await writeFully(handles.get(path) as FileHandle, bytes, offset);
        done += length;
      }
      plan.missing.delete(sha256);
      onProgress(done, plan.totalBytes);
    };
    try {
      for (const { path, size } of descriptor.files)
        handles.set(join(directory, path), await openSized(join(directory, path), size));
      for (const [sha256, source] of plan.sources) {
        signal.throwIfAborted();
        const bytes = await readPiece(source);
        if (bytes !== null && plan.missing.has(sha256)) await place(sha256, bytes);
      }
      if (this.options.chunks === null && plan.missing.size > 0) {
        throw new InstallError('CHUNK_MISSING', 'this board is in no fleet and fetches nothing');
      }
      await this.options.chunks?.fetch(
        [...plan.missing.keys()],
        (sha256, bytes) => {
          fetchedBytes += bytes.length;
          return place(sha256, bytes);
        },
        signal,
      );
      for (const handle of handles.values()) await handle.datasync();
    } finally {
      for (const handle of handles.values()) await handle.close();
    }
    const folders = new Set(descriptor.files.map((file) => dirname(join(directory, file.path))));
    for (const folder of [...folders, directory, this.slots]) await syncDirectory(folder);
    return { fetchedBytes };
  }

  async verify(descriptor: ReleaseDescriptor): Promise<StoredPackage> {
    const directory = this.directoryOf(descriptor.digest);
    const wanted = new Map(descriptor.files.map((file) => [file.path, file]));
    for (const path of await filesBelow(directory)) {
      if (!wanted.has(path)) await rm(join(directory, path), { force: true });
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

  async keepOnly(digests: readonly string[]): Promise<void> {
    for (const name of await readdir(this.slots).catch(() => [])) {
      if (!digests.includes(name)) await rm(join(this.slots, name), { recursive: true, force: true });
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
    await rm(this.directoryOf(digest), { recursive: true, force: true });
  }

  /** What this package's own folder holds already. */
  private async present(descriptor: ReleaseDescriptor, signal: AbortSignal): Promise<Omit<Plan, 'sources'>> {
    const directory = this.directoryOf(descriptor.digest);
    const missing = new Map<string, Place[]>();
    let presentBytes = 0;
    let totalBytes = 0;
    for (const file of descriptor.files) {
      const path = join(directory, file.path);
      const held = new Map<number, string>();
      await eachPiece(path, (sha256, place) => held.set(place.offset, sha256), signal);
      for (const [i, sha256] of file.chunks.entries()) {
        const offset = i * CHUNK_BYTES;
        const length = Math.min(CHUNK_BYTES, file.size - offset);
        totalBytes += length;
        if (held.get(offset) === sha256) presentBytes += length;
        else missing.set(sha256, [...(missing.get(sha256) ?? []), { path, offset, length }]);
      }
    }
    return { missing, presentBytes, totalBytes };
  }

  private async plan(descriptor: ReleaseDescriptor, signal: AbortSignal): Promise<Plan> {
    const own = await this.present(descriptor, signal);
    const sources = new Map<string, Place>();
    if (own.missing.size > 0) {
      const slots = (await readdir(this.slots)).map((name) => join(this.slots, name));
      const { bundledDirectory } = this.options;
      for (const directory of bundledDirectory === null ? slots : [...slots, bundledDirectory]) {
        for (const path of await filesBelow(directory)) {
          await eachPiece(
            join(directory, path),
            (sha256, place) => {
              if (own.missing.has(sha256)) sources.set(sha256, place);
            },
            signal,
          );
        }
      }
    }
    return { ...own, sources };
  }
}

async function writeFully(handle: FileHandle, bytes: Buffer, offset: number): Promise<void> {
  let written = 0;
  while (written < bytes.length) {
    written += (await handle.write(bytes, written, bytes.length - written, offset + written)).bytesWritten;
  }
}
