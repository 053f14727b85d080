import { type Key, type Metadata, MetadataKind, type Root, type TargetFile, type Targets } from '@tufjs/models';
import { MAX_MESSAGE_BYTES, MAX_METADATA_BYTES } from '@vigie/protocol';
import { type Fetcher, Updater } from 'tuf-js';
import { InstallError } from '../update/install-error.js';
import { MetadataMalformedError, type MetadataSession } from './metadata-source.js';
import { tufErrorCode } from './tuf-errors.js';
import { sessionFetcher, TUF_BASE_URL } from './tuf-fetcher.js';
import './tuf-linear-targets.js';
import { dropKeys, type RoleKeys, signedByDroppedKey, type TufMemory } from './tuf-memory.js';

const TOP_ROLES = [MetadataKind.Root, MetadataKind.Timestamp, MetadataKind.Snapshot, MetadataKind.Targets] as const;

/** Bounds of one update: more of anything is no fleet's metadata. */
const LIMITS = {
  maxRootRotations: 64,
  /** Roles visited beside `targets` in the search for one target. */
  maxDelegations: 4,
  rootMaxLength: MAX_MESSAGE_BYTES,
  timestampMaxLength: 16_384,
  snapshotMaxLength: MAX_METADATA_BYTES,
  targetsMaxLength: MAX_METADATA_BYTES,
};

type AnyMetadata = Metadata<Root | Targets>;

/** What we need of tuf-js's private store: its clock, and errors before it wraps them into strings. Pinned to ~4.1. */
interface TrustedStore {
  referenceTime: Date;
  readonly root: Metadata<Root>;
  readonly targets?: Metadata<Targets>;
  readonly trustedSet: Record<string, AnyMetadata>;
  getRole(name: string): AnyMetadata | undefined;
  updateRoot(bytes: Buffer): unknown;
  updateTimestamp(bytes: Buffer): unknown;
  updateSnapshot(bytes: Buffer, trusted?: boolean): unknown;
  updateDelegatedTargets(bytes: Buffer, role: string, delegator: string): unknown;
}

/** The updater reads its root when it is made. Throws InstallError TUF_* when the root is not whole or not signed by itself. */
function openUpdater(directory: string, fetcher: Fetcher): Updater {
  try {
    return new Updater({ metadataDir: directory, metadataBaseUrl: TUF_BASE_URL, fetcher, config: LIMITS });
  } catch (error) {
    const message = `trusted root: ${error instanceof Error ? error.message : String(error)}`;
    throw new InstallError(tufErrorCode(error, true), message, { cause: error });
  }
}

/** Is the `root.json` in this folder there, whole and signed by itself? */
export function soundRoot(directory: string): boolean {
  try {
    new Updater({ metadataDir: directory, metadataBaseUrl: TUF_BASE_URL });
    return true;
  } catch {
    return false;
  }
}

/** A target and the role that lists it. */
export interface FoundTarget {
  role: string;
  target: TargetFile;
}

/**
 * One update by the client workflow of the TUF specification (1.0.31, section 5) in a folder, with a clock of our own. What
 * was verified is written into the folder step by step; what a step refuses leaves the folder as it was before it.
 */
export class TufUpdate {
  private readonly delegatedBefore: Record<string, RoleKeys> = {};
  private failure: { error: unknown; parsed: boolean } | null = null;
  private readonly updater: Updater;
  private readonly store: TrustedStore;

  constructor(
    directory: string,
    session: MetadataSession,
    now: Date,
    /** What is remembered beside the metadata; changes as roots and delegations do. */
    public memory: TufMemory,
  ) {
    const fetcher = sessionFetcher(session);
    this.updater = openUpdater(directory, {
      downloadFile: (url, max, handler) => fetcher.downloadFile(url, max, handler),
      downloadBytes: (url, max) => this.recordingAsync(() => fetcher.downloadBytes(url, max)),
    });
    const store = (this.updater as unknown as { trustedSet?: TrustedStore }).trustedSet;
    if (store === undefined || !(store.referenceTime instanceof Date)) {
      throw new InstallError('INTERNAL', 'tuf-js is not the version this agent was made for: its clock cannot be set');
    }
    this.store = store;
    store.referenceTime = now;
    this.watchSteps(store);
  }

  /** Brings the top roles up to date. Throws InstallError TUF_*, or what the source threw for an abort. */
  async refresh(): Promise<void> {
    await this.coded(() => this.updater.refresh());
  }

  /** The most trusted role's word on a target; undefined when nobody lists it. Call `refresh` first. Throws as `refresh`. */
  async find(path: string): Promise<FoundTarget | undefined> {
    const target = await this.coded(() => this.updater.getTargetInfo(path));
    if (target === undefined) return undefined;
    // tuf-js looks a path up in a plain object: "constructor" is found in every one of them.
    const lists = ({ signed }: AnyMetadata) =>
      signed.type === MetadataKind.Targets && Object.hasOwn(signed.targets, path) && signed.targets[path] === target;
    const role = Object.entries(this.store.trustedSet).find(([, metadata]) => lists(metadata));
    return role === undefined ? undefined : { role: role[0], target };
  }

  /** Paths of all targets of the top role. */
  listed(): Set<string> {
    return new Set(Object.keys(this.store.targets?.signed.targets ?? {}));
  }

  /** When the first of the verified top roles expires, ms since 1970. */
  expiresAt(): number {
    return Math.min(...TOP_ROLES.map((role) => Date.parse(this.store.getRole(role)?.signed.expires ?? '')));
  }

  /** When the timestamp says it was signed, ms since 1970; null when it does not. */
  signedAt(): number | null {
    const at = this.store.getRole(MetadataKind.Timestamp)?.signed.unrecognizedFields?.issued_at;
    const ms = typeof at === 'string' ? Date.parse(at) : Number.NaN;
    return Number.isNaN(ms) ? null : ms;
  }

  private watchSteps(store: TrustedStore): void {
    const originals = {
      root: store.updateRoot.bind(store),
      timestamp: store.updateTimestamp.bind(store),
      snapshot: store.updateSnapshot.bind(store),
      targets: store.updateDelegatedTargets.bind(store),
    };
    store.updateRoot = (bytes) => {
      const before = store.root.signed;
      this.step('root', MetadataKind.Root, bytes, () => originals.root(bytes));
      for (const role of TOP_ROLES) this.turnKeys(role, rootKeys(before, role), rootKeys(store.root.signed, role));
      return store.root;
    };
    store.updateTimestamp = (bytes) =>
      this.step('timestamp', MetadataKind.Timestamp, bytes, () => originals.timestamp(bytes));
    store.updateSnapshot = (bytes, trusted) =>
      this.step('snapshot', MetadataKind.Snapshot, bytes, () => originals.snapshot(bytes, trusted));
    store.updateDelegatedTargets = (bytes, role, delegator) => {
      this.step(role, MetadataKind.Targets, bytes, () => originals.targets(bytes, role, delegator));
      const { signed } = store.getRole(role) as Metadata<Targets>;
      for (const [name, keys] of delegationsOf(signed)) this.turnDelegatedKeys(name, keys);
    };
  }

  /** One step of the workflow: remembers why it failed, and names a signer that was trusted once. */
  private step<T>(role: string, kind: MetadataKind, bytes: Buffer, run: () => T): T {
    try {
      const result = run();
      checkSigned(role, this.store.getRole(role));
      this.failure = null;
      return result;
    } catch (error) {
      this.failure = { error, parsed: true };
      if (tufErrorCode(error, true) === 'TUF_SIGNATURE_INVALID') {
        const keyId = signedByDroppedKey(this.memory, role, kind, bytes);
        if (keyId !== null) {
          const message = `${role} is signed by key ${keyId}, which was trusted once and is no longer`;
          this.failure.error = new InstallError('TUF_KEY_REVOKED', message, { cause: error });
        }
      }
      throw error;
    }
  }

  private turnKeys(role: string, before: RoleKeys, after: RoleKeys): void {
    this.memory = dropKeys(this.memory, role, before, after);
  }

  /** Keys of a delegated role that are known from an earlier update, against those that its delegator lists now. */
  private turnDelegatedKeys(role: string, after: RoleKeys): void {
    const before = this.delegatedBefore[role];
    if (before !== undefined) this.turnKeys(role, before, after);
    this.delegatedBefore[role] = after;
  }

  /** Tells which keys an earlier update's `targets` listed for its delegated roles. */
  knowDelegations(targets: Targets | null): void {
    if (targets === null) return;
    for (const [name, keys] of delegationsOf(targets)) this.delegatedBefore[name] = keys;
  }

  private async recordingAsync<T>(run: () => Promise<T>): Promise<T> {
    this.failure = null;
    try {
      return await run();
    } catch (error) {
      this.failure = { error, parsed: false };
      throw error;
    }
  }

  private async coded<T>(run: () => Promise<T>): Promise<T> {
    this.failure = null;
    try {
      return await run();
    } catch (error) {
      const { error: cause, parsed } = this.failure ?? { error, parsed: false };
      if (cause instanceof InstallError) throw cause;
      throw new InstallError(tufErrorCode(cause, parsed), cause instanceof Error ? cause.message : String(cause), {
        cause,
      });
    }
  }
}

/**
 * What tuf-js lets pass: an `expires` that is no date counts as one that never comes, any number as a version, and one key
 * under several ids as several signers.
 */
function checkSigned(role: string, metadata: AnyMetadata | undefined): void {
  if (metadata === undefined) return;
  const { expires, version } = metadata.signed;
  if (Number.isNaN(Date.parse(expires))) throw new MetadataMalformedError(`${role}: expires "${expires}" is no time`);
  if (!Number.isSafeInteger(version) || version < 1)
    throw new MetadataMalformedError(`${role}: version ${version} is none`);
  for (const [name, keys] of delegationsOf(metadata.signed)) {
    const values = Object.values(keys).map(({ keyVal }) => keyVal.public);
    if (new Set(values).size === values.length) continue;
    throw new MetadataMalformedError(`${role}: one key stands under several ids for ${name}`);
  }
}

/** Each role that this metadata names keys for. */
function delegationsOf(signed: Root | Targets): (readonly [role: string, keys: RoleKeys])[] {
  if (signed.type === MetadataKind.Root) {
    return Object.keys(signed.roles).map((role) => [role, pick(signed.keys, signed.roles[role].keyIDs)] as const);
  }
  if (signed.type !== MetadataKind.Targets) return [];
  const { keys = {}, roles = {} } = signed.delegations ?? {};
  return Object.values(roles).map(({ name, keyIDs }) => [name, pick(keys, keyIDs)] as const);
}

function rootKeys(root: Root, role: string): RoleKeys {
  return pick(root.keys, root.roles[role]?.keyIDs ?? []);
}

function pick(keys: Record<string, Key>, keyIds: readonly string[]): RoleKeys {
  return Object.fromEntries(keyIds.flatMap((keyId) => (keys[keyId] === undefined ? [] : [[keyId, keys[keyId]]])));
}
