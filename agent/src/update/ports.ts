import type { GoldenFrame } from '@vigie/models/package/manifest';
import type { OpenPackage } from '@vigie/models/package/package';
import type { ContentRectangle, PlanarFrame } from '@vigie/models/runtime/frame';
import type { ReleaseDescriptor, ReleaseReference } from '@vigie/protocol';
import type { DeliveryOrder } from './delivery.js';
import type { InstallState } from './journal.js';

/** What the installer asks of the world. The adapters stand in `io/`; `update-wiring.ts` names them. */

/** Structured log, as pino's. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** The publisher's and the gate's signed word on a release. */
export interface ReleaseSource {
  /**
   * The descriptor of a release that is listed, and certified for this board's class. Throws InstallError TUF_*,
   * TARGET_UNKNOWN, RELEASE_WITHDRAWN, DIGEST_MISMATCH, NOT_CERTIFIED or DESCRIPTOR_INVALID.
   */
  describe(release: ReleaseReference, signal: AbortSignal): Promise<ReleaseDescriptor>;
  /**
   * Does verified, unexpired metadata no longer list this release? False while nothing is known. Ask only about releases
   * that came from the fleet: the bundled package is on no list.
   */
  isWithdrawn(release: ReleaseReference): Promise<boolean>;
  /** Calls back after each update that was verified; returns a function that ends it. */
  onRefresh(listener: () => void): () => void;
}

/** A package on the disk, checked whole. */
export interface StoredPackage {
  directory: string;
  open: OpenPackage;
}

/** Packages on the disk, one folder per digest. */
export interface PackageStore {
  /** A package that is there and all that its digest says; null otherwise. */
  open(digest: string): Promise<StoredPackage | null>;
  /** What the folders are called; whether they hold that is for `open` to say. */
  digests(): Promise<string[]>;
  /**
   * Bytes that this package's folder does not hold yet, those of them that lie nowhere on this disk and must be fetched, and free
   * bytes of the disk. Throws InstallError DESCRIPTOR_INVALID, DISK_ERROR.
   */
  survey(
    descriptor: ReleaseDescriptor,
    signal: AbortSignal,
  ): Promise<{ missingBytes: number; fetchBytes: number; freeBytes: number }>;
  /**
   * Brings every file to the disk; fetches only what it does not hold, as the order and the board's configuration allow. Throws
   * InstallError CHUNK_*, DOWNLOAD_REFUSED, DATA_BUDGET_EXCEEDED, DESCRIPTOR_INVALID, DISK_FULL, DISK_ERROR.
   */
  fill(
    descriptor: ReleaseDescriptor,
    onProgress: (bytes: number, totalBytes: number) => void,
    signal: AbortSignal,
    order: DeliveryOrder,
  ): Promise<void>;
  /** Checks the whole package. Throws InstallError FILE_CORRUPT, PACKAGE_INVALID, DIGEST_MISMATCH. */
  verify(descriptor: ReleaseDescriptor): Promise<StoredPackage>;
  /** Removes every package but these digests. */
  keepOnly(digests: readonly string[]): Promise<void>;
}

/** A golden frame, in the picture's own size (`content`: all of it) or fitted to the model's. */
export interface GoldenPicture {
  golden: GoldenFrame;
  frame: PlanarFrame;
  content: ContentRectangle;
}

/** Golden frames in the manifest's order; those of a board are decoded one by one as they are asked for. */
export type GoldenPictures = Iterable<GoldenPicture> | AsyncIterable<GoldenPicture>;

/** Decodes the golden frames of a package. It, or a step through its result, throws InstallError PACKAGE_INVALID. */
export type ReadGolden = (stored: StoredPackage) => Promise<GoldenPictures>;

/** Keeps the state over a restart: atomically, newest wins. */
export interface StateStore {
  save(state: InstallState): Promise<void>;
}
