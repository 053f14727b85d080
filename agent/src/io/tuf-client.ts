import { createHash } from 'node:crypto';
import { access, copyFile, mkdir, open, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { TypeCompiler } from '@sinclair/typebox/compiler';
import {
  chunkTopic,
  type InstallErrorCode,
  MAX_MESSAGE_BYTES,
  ReleaseDescriptor,
  type ReleaseReference,
  releaseTargetPath,
} from '@vigie/protocol';
import { Updater } from 'tuf-js';
import type { Link } from '../ports.js';
import { InstallError } from '../update/install-error.js';
import type { Log, ReleaseSource } from '../update/ports.js';
import { syncDirectory } from './atomic-file.js';
import { fetchRetained, RetainedTimeoutError } from './retained-message.js';
import { TUF_BASE_URL, TufFetchError, TufTopicFetcher } from './tuf-fetcher.js';

const descriptorCheck = TypeCompiler.Compile(ReleaseDescriptor);

export interface TufClientOptions {
  link: Link;
  /** `<data>/tuf`: the trusted metadata. `<data>/tuf.old` and `<data>/tuf.new` belong to it. */
  directory: string;
  /** The root the board was enrolled with: what it falls back to when the folder was lost or torn. */
  enrolledRoot: string;
  /** Wall time that may be trusted, ms since 1970. */
  now(): number;
  log: Log;
  /** Patience per message, ms. */
  timeoutMs?: number;
}

/** What we need of tuf-js's private store: its clock, and errors before it wraps them into strings. Pinned to ~4.1. */
interface TrustedStore {
  referenceTime: Date;
  updateRoot(bytes: Buffer): unknown;
  updateTimestamp(bytes: Buffer): unknown;
  updateSnapshot(bytes: Buffer, trusted?: boolean): unknown;
  updateDelegatedTargets(bytes: Buffer, role: string, delegator: string): unknown;
}

/** Verifies releases by The Update Framework, with metadata from retained MQTT topics. One call at a time. */
export class TufClient implements ReleaseSource {
  private readonly timeoutMs: number;
  private readonly old: string;
  private readonly scratch: string;

  constructor(private readonly options: TufClientOptions) {
    this.timeoutMs = options.timeoutMs ?? 5000;
    this.old = `${options.directory}.old`;
    this.scratch = `${options.directory}.new`;
  }

  async describe(release: ReleaseReference, signal: AbortSignal): Promise<ReleaseDescriptor> {
    await this.recover();
    const path = releaseTargetPath(release.name, release.version);
    const target = await this.verifiedTarget(path, signal);
    const sha256 = target.hashes.sha256;
    if (sha256 === undefined) throw new InstallError('TUF_MISMATCH', `${path} is listed without a SHA-256`);
    const bytes = await this.fetchDescriptor(path, sha256, signal);
    if (bytes.length !== target.length || createHash('sha256').update(bytes).digest('hex') !== sha256) {
      throw new InstallError('TUF_MISMATCH', `${path} is not what the publisher signed`);
    }
    return parseDescriptor(path, bytes);
  }

  private async fetchDescriptor(path: string, sha256: string, signal: AbortSignal): Promise<Buffer> {
    try {
      return await fetchRetained(this.options.link, chunkTopic(sha256), { timeoutMs: this.timeoutMs, signal });
    } catch (error) {
      if (error instanceof RetainedTimeoutError) throw new InstallError('TUF_UNAVAILABLE', `${path}: ${error.message}`);
      throw error;
    }
  }

  /** Refreshes a copy of the metadata and makes it the trusted one only when all of it was verified. */
  private async verifiedTarget(path: string, signal: AbortSignal) {
    const { directory, link, now, log } = this.options;
    await rm(this.scratch, { recursive: true, force: true });
    await mkdir(this.scratch, { mode: 0o700 });
    for (const name of await readdir(directory)) {
      if (name.endsWith('.json')) await copyFile(join(directory, name), join(this.scratch, name));
    }
    const failure: { last: unknown } = { last: undefined };
    try {
      const fetcher = await TufTopicFetcher.open(link, this.timeoutMs, signal);
      const updater = this.openUpdater(fetcher, failure, new Date(now()));
      await updater.refresh();
      const target = await updater.getTargetInfo(path);
      await this.commit();
      if (target === undefined) throw new InstallError('TARGET_UNKNOWN', `the publisher's list holds no ${path}`);
      return target;
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof InstallError) throw error;
      const cause = failure.last ?? error;
      const message = cause instanceof Error ? cause.message : String(cause);
      log.warn({ code: codeOf(cause), detail: message }, 'TUF metadata refused');
      throw new InstallError(codeOf(cause), message, { cause });
    } finally {
      await rm(this.scratch, { recursive: true, force: true });
    }
  }

  private openUpdater(fetcher: TufTopicFetcher, failure: { last: unknown }, now: Date): Updater {
    const updater = new Updater({
      metadataDir: this.scratch,
      metadataBaseUrl: TUF_BASE_URL,
      fetcher: {
        downloadFile: (url, max, handler) => fetcher.downloadFile(url, max, handler),
        downloadBytes: (url, max) => recording(failure, () => fetcher.downloadBytes(url, max)),
      },
      config: {
        maxRootRotations: 64,
        maxDelegations: 4,
        rootMaxLength: MAX_MESSAGE_BYTES,
        timestampMaxLength: 16_384,
        snapshotMaxLength: MAX_MESSAGE_BYTES,
        targetsMaxLength: MAX_MESSAGE_BYTES,
      },
    });
    const store = (updater as unknown as { trustedSet?: TrustedStore }).trustedSet;
    if (store === undefined || !(store.referenceTime instanceof Date)) {
      throw new InstallError('INTERNAL', 'tuf-js is not the version this agent was made for: its clock cannot be set');
    }
    store.referenceTime = now;
    for (const step of ['updateRoot', 'updateTimestamp', 'updateSnapshot', 'updateDelegatedTargets'] as const) {
      const original = (store[step] as (...all: unknown[]) => unknown).bind(store);
      (store as unknown as Record<string, unknown>)[step] = (...all: unknown[]) => {
        try {
          return original(...all);
        } catch (error) {
          failure.last = error;
          throw error;
        }
      };
    }
    return updater;
  }

  /** Puts the scratch copy in place of the trusted folder by two renames; `recover` finishes what a crash cut short. */
  private async commit(): Promise<void> {
    const { directory } = this.options;
    for (const name of await readdir(this.scratch)) {
      const handle = await open(join(this.scratch, name), 'r');
      await handle.sync().finally(() => handle.close());
    }
    await syncDirectory(this.scratch);
    await rm(this.old, { recursive: true, force: true });
    await rename(directory, this.old);
    await rename(this.scratch, directory);
    await syncDirectory(dirname(directory));
    await rm(this.old, { recursive: true, force: true });
  }

  /** Brings a trusted folder with a readable root back, whatever a crash or a bad disk left. */
  private async recover(): Promise<void> {
    const { directory, enrolledRoot, log } = this.options;
    if (!(await exists(directory)) && (await exists(this.old))) await rename(this.old, directory);
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const root = join(directory, 'root.json');
    try {
      // The updater reads its root when it is made, and throws when the root is not signed by itself.
      new Updater({ metadataDir: directory, metadataBaseUrl: TUF_BASE_URL });
    } catch (error) {
      log.error(
        { err: (error as Error).message },
        'trusted TUF metadata is damaged; back to the root of the enrollment',
      );
      await rm(directory, { recursive: true, force: true });
      await mkdir(directory, { mode: 0o700 });
      await writeFile(root, enrolledRoot);
    }
  }
}

function parseDescriptor(path: string, bytes: Buffer): ReleaseDescriptor {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    throw new InstallError('DESCRIPTOR_INVALID', `${path}: ${(error as Error).message}`);
  }
  if (descriptorCheck.Check(value)) return value;
  const problem = descriptorCheck.Errors(value).First();
  throw new InstallError('DESCRIPTOR_INVALID', `${path}${problem?.path}: ${problem?.message}`);
}

async function recording<T>(failure: { last: unknown }, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    failure.last = error;
    throw error;
  }
}

/** Errors of tuf-js and @tufjs/models by class name: two copies of the library in one tree must not blind us. */
function codeOf(error: unknown): InstallErrorCode {
  if (error instanceof TufFetchError) return 'TUF_UNAVAILABLE';
  const name = error instanceof Error ? error.constructor.name : '';
  const message = error instanceof Error ? error.message : '';
  switch (name) {
    case 'UnsignedMetadataError':
    case 'CryptoError':
    case 'UnsupportedAlgorithmError':
      return 'TUF_SIGNATURE_INVALID';
    case 'ExpiredMetadataError':
      return 'TUF_EXPIRED';
    case 'BadVersionError':
      // The same class says "older than what I trusted before" and "not the version that was announced".
      return message.includes('less than current version') ? 'TUF_ROLLBACK' : 'TUF_MISMATCH';
    case 'DownloadHTTPError':
      return 'TUF_UNAVAILABLE';
    default:
      return 'TUF_MISMATCH';
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
