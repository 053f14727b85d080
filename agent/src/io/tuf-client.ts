import type { KeyObject } from 'node:crypto';
import {
  certificateTargetPath,
  type InstallErrorCode,
  type ReleaseDescriptor,
  type ReleaseReference,
  releaseTargetPath,
  SERVER_KEYS_TARGET,
} from '@vigie/protocol';
import { checkCertificate } from '../update/certificate-check.js';
import { InstallError } from '../update/install-error.js';
import type { Log, ReleaseSource } from '../update/ports.js';
import type { ServerKeyring } from '../update/server-keyring.js';
import type { FileSystem } from './file-system.js';
import type { MetadataSession, MetadataSource } from './metadata-source.js';
import { fetchTarget, hashOf, parseCertificate, parseDescriptor, parseServerKeys, readKeys } from './signed-target.js';
import { type TufMemory, withDescribed, withServerKeys } from './tuf-memory.js';
import { TufTrust } from './tuf-trust.js';
import type { TufUpdate } from './tuf-update.js';

/** The delegated role whose word on certificates counts: the gate's. */
const CERTIFIED_ROLE = 'certified';
/** The role whose word on releases and server keys counts: the publisher's. */
const PUBLISHER_ROLE = 'targets';

/**
 * What a look at a repository in the middle of its publication finds, too: the new timestamp beside the old root. So such
 * a fault counts only when a second look finds it again.
 */
const TORN_LOOK: ReadonlySet<InstallErrorCode> = new Set(['TUF_SIGNATURE_INVALID', 'TUF_KEY_REVOKED', 'TUF_MISMATCH']);

export interface TufClientOptions {
  /** Where metadata comes from, in order of preference: the next one is asked when one gives nothing (TUF_UNAVAILABLE). */
  sources(): readonly MetadataSource[];
  /** `<data>/tuf`: the trusted metadata. `<data>/tuf.old` and `<data>/tuf.new` belong to it. */
  directory: string;
  /** The root and the keys (SPKI, PEM) that the board was enrolled with. */
  enrolledRoot: string;
  enrolledKeys: readonly string[];
  hardwareClass: string;
  /** Wall time that may be trusted, ms since 1970. */
  now(): number;
  /** A moment that verified metadata proves, ms since 1970. */
  onProven?(ms: number): void;
  log: Log;
  /** The machine's disk when absent. */
  files?: FileSystem;
}

/** What the last whole update found. */
interface View {
  listed: ReadonlySet<string>;
  /** ms since 1970. */
  expiresAt: number;
}

/**
 * Verifies releases by The Update Framework. Two signatures must agree: the publisher's (`targets` lists the release) and
 * the gate's (`certified` lists a certificate for this board's class).
 */
export class TufClient implements ReleaseSource {
  private readonly trust: TufTrust;
  private readonly listeners = new Set<() => void>();
  private view: View | null = null;
  private trusted: readonly KeyObject[];
  private revoked: readonly KeyObject[] = [];

  /** The keys of desired states and commands, as the newest verified metadata has them. */
  readonly keyring: ServerKeyring;

  constructor(private readonly options: TufClientOptions) {
    this.trust = new TufTrust(options);
    this.trusted = readKeys(options.enrolledKeys);
    const self = this;
    this.keyring = {
      get trusted() {
        return self.trusted;
      },
      get revoked() {
        return self.revoked;
      },
    };
  }

  /** Mends what a crash left, and takes up the keys that an earlier run verified. Call it before anything is believed. */
  async open(): Promise<void> {
    this.turnKeys(await this.trust.open());
  }

  async describe(release: ReleaseReference, signal: AbortSignal): Promise<ReleaseDescriptor> {
    return this.described(release, signal, true);
  }

  /**
   * The publisher's word alone, for a benchmark on a lab board: what is described so is never installed. Throws as `describe`
   * does, but for NOT_CERTIFIED.
   */
  async describeUncertified(release: ReleaseReference, signal: AbortSignal): Promise<ReleaseDescriptor> {
    return this.described(release, signal, false);
  }

  private described(release: ReleaseReference, signal: AbortSignal, certified: boolean): Promise<ReleaseDescriptor> {
    return this.update(signal, async (update, session) => {
      const path = releaseTargetPath(release.name, release.version);
      const found = await update.find(path);
      if (found?.role !== PUBLISHER_ROLE) {
        const code = update.memory.described.includes(path) ? 'RELEASE_WITHDRAWN' : 'TARGET_UNKNOWN';
        throw new InstallError(code, `the publisher's list holds no ${path}`);
      }
      const descriptor = parseDescriptor(path, await fetchTarget(session, found.target));
      if (descriptor.digest !== release.digest) {
        const message = `the publisher signed ${descriptor.digest} as ${path}, the server asked for ${release.digest}`;
        throw new InstallError('DIGEST_MISMATCH', message);
      }
      if (certified) await this.certified(release, update, session);
      update.memory = withDescribed(update.memory, path);
      return descriptor;
    });
  }

  async isWithdrawn(release: ReleaseReference): Promise<boolean> {
    const { view } = this;
    if (view === null || this.options.now() >= view.expiresAt) return false;
    return !view.listed.has(releaseTargetPath(release.name, release.version));
  }

  onRefresh(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Brings metadata and keys up to date. Throws InstallError TUF_*, or the signal's reason. */
  async refresh(signal: AbortSignal): Promise<void> {
    await this.update(signal, async () => {});
  }

  private async certified(release: ReleaseReference, update: TufUpdate, session: MetadataSession): Promise<void> {
    const path = certificateTargetPath(release.digest);
    const found = await update.find(path);
    // The publisher alone cannot say it: what the top role lists under such a path is no certificate.
    if (found?.role !== CERTIFIED_ROLE) {
      throw new InstallError(
        'NOT_CERTIFIED',
        `the gate has signed no certificate for ${release.name} ${release.version}`,
      );
    }
    const certificate = parseCertificate(path, await fetchTarget(session, found.target));
    checkCertificate(certificate, release, this.options.hardwareClass);
  }

  private async update<T>(
    signal: AbortSignal,
    work: (update: TufUpdate, session: MetadataSession) => Promise<T>,
  ): Promise<T> {
    const sources = this.options.sources();
    for (const [index, source] of sources.entries()) {
      try {
        return await this.updateFrom(source, signal, work);
      } catch (error) {
        const next = sources[index + 1];
        if (next === undefined || !(error instanceof InstallError) || error.code !== 'TUF_UNAVAILABLE') throw error;
        this.options.log.info({ from: source.name, to: next.name }, 'TUF metadata is asked for elsewhere');
      }
    }
    throw new InstallError('TUF_UNAVAILABLE', 'no source of TUF metadata is configured');
  }

  private async updateFrom<T>(
    source: MetadataSource,
    signal: AbortSignal,
    work: (update: TufUpdate, session: MetadataSession) => Promise<T>,
  ): Promise<T> {
    const once = () =>
      this.trust.update(source, signal, async (update, session) => {
        await this.learn(update, session);
        return work(update, session);
      });
    try {
      return await once();
    } catch (error) {
      if (!(error instanceof InstallError) || !TORN_LOOK.has(error.code)) throw error;
      return once();
    }
  }

  /** What every verified update teaches, whatever it was made for. */
  private async learn(update: TufUpdate, session: MetadataSession): Promise<void> {
    const { enrolledKeys, onProven } = this.options;
    const signedAt = update.signedAt();
    if (signedAt !== null) onProven?.(signedAt);
    this.view = { listed: update.listed(), expiresAt: update.expiresAt() };
    const found = await update.find(SERVER_KEYS_TARGET);
    const target = found?.role === PUBLISHER_ROLE ? found.target : undefined;
    if (target === undefined) {
      if (update.memory.serverKeys !== null) update.memory = withServerKeys(update.memory, null, enrolledKeys);
    } else if (update.memory.serverKeys?.sha256 !== hashOf(target)) {
      const keys = parseServerKeys(SERVER_KEYS_TARGET, await fetchTarget(session, target));
      update.memory = withServerKeys(update.memory, { sha256: hashOf(target), keys }, enrolledKeys);
    }
    this.turnKeys(update.memory);
    for (const listener of this.listeners) listener();
  }

  private turnKeys(memory: TufMemory): void {
    this.trusted = readKeys(memory.serverKeys?.keys ?? this.options.enrolledKeys);
    this.revoked = readKeys(memory.formerServerKeys);
  }
}
