import {
  CERTIFIED_PATHS,
  type Certificate,
  certificateTargetPath,
  encodeMessage,
  SERVER_KEYS_TARGET,
  TUF_INDEX_TOPIC,
  tufTopic,
} from '@vigie/protocol';
import { metadataHead, newTufKey, signMetadata, type TufKey } from './tuf-forge.js';

type TopRole = 'root' | 'targets' | 'snapshot' | 'timestamp';

/** What is wrong with one publication; the next one without it is honest again. */
export interface TufLie {
  /** A foreign key signs targets in the true key's name. */
  targetsSigner?: TufKey;
  /** A key signs the timestamp in its own name. */
  timestampSigner?: TufKey;
  timestampExpires?: string;
  /** Blanks that make the timestamp as long as this, bytes. */
  timestampBytes?: number;
  /** The topic of the new targets holds the ones before. */
  oldTargets?: boolean;
  /** Everything is as it was in this earlier version. */
  asInVersion?: number;
}

interface Target {
  length: number;
  hashes: { sha256: string };
}

/** A publisher and a gate in the test's own hands: signs TUF metadata to the wire contract, true or not. */
export class ForgedTuf {
  readonly targets: Record<string, Target> = {};
  readonly certificates: Record<string, Target> = {};
  readonly gate = newTufKey();
  readonly #keys: Record<TopRole, TufKey> = {
    root: newTufKey(),
    targets: newTufKey(),
    snapshot: newTufKey(),
    timestamp: newTufKey(),
  };
  readonly #roots: Buffer[] = [];
  readonly #history = new Map<number, Map<string, Buffer>>();
  #version = 0;

  constructor() {
    this.#signRoot();
  }

  /** The root that a board begins to trust from. */
  get firstRoot(): string {
    return this.#roots[0].toString();
  }

  get version(): number {
    return this.#version;
  }

  /** Gives a role another key by a new root; returns the old key. */
  rotate(role: 'targets' | 'snapshot' | 'timestamp'): TufKey {
    const old = this.#keys[role];
    this.#keys[role] = newTufKey();
    this.#signRoot();
    return old;
  }

  /** New versions of all but root, as retained messages by topic. */
  publish(lie: TufLie = {}): Map<string, Buffer> {
    if (lie.asInVersion !== undefined) return this.#history.get(lie.asInVersion) ?? new Map();
    this.#version += 1;
    const version = this.#version;
    const { targets, snapshot, timestamp } = this.#keys;
    const signedTargets = {
      ...metadataHead('targets', version),
      targets: { ...this.targets },
      delegations: {
        keys: { [this.gate.keyid]: this.gate.entry },
        roles: [
          { name: 'certified', keyids: [this.gate.keyid], threshold: 1, terminating: true, paths: [CERTIFIED_PATHS] },
        ],
      },
    };
    const certified = signMetadata(
      { ...metadataHead('targets', version), targets: { ...this.certificates } },
      this.gate,
    );
    const meta = { 'targets.json': { version }, 'certified.json': { version } };
    const head = metadataHead('timestamp', version);
    const signedTimestamp = {
      ...head,
      expires: lie.timestampExpires ?? head.expires,
      meta: { 'snapshot.json': { version } },
    };
    const blanks = Buffer.alloc(lie.timestampBytes ?? 0, 32);
    const before = this.#history.get(version - 1)?.get(tufTopic('targets', version - 1));
    const newTargets = signMetadata(signedTargets, lie.targetsSigner ?? targets, targets.keyid);
    const topics = new Map<string, Buffer>([
      ...this.#roots.map((bytes, index) => [tufTopic('root', index + 1), bytes] as const),
      [tufTopic('targets', version), lie.oldTargets === true && before !== undefined ? before : newTargets],
      [tufTopic('certified', version), certified],
      [tufTopic('snapshot', version), signMetadata({ ...metadataHead('snapshot', version), meta }, snapshot)],
      [
        tufTopic('timestamp', null),
        Buffer.concat([signMetadata(signedTimestamp, lie.timestampSigner ?? timestamp), blanks]),
      ],
    ]);
    const index = { root: this.#roots.length, timestamp: version, snapshot: version, targets: version };
    topics.set(TUF_INDEX_TOPIC, encodeMessage('tuf-index', { ...index, certified: version }));
    this.#history.set(version, topics);
    return topics;
  }

  #signRoot(): void {
    const keys = Object.values(this.#keys);
    const signed = {
      ...metadataHead('root', this.#roots.length + 1),
      consistent_snapshot: true,
      keys: Object.fromEntries(keys.map(({ keyid, entry }) => [keyid, entry])),
      roles: Object.fromEntries(
        Object.entries(this.#keys).map(([name, { keyid }]) => [name, { keyids: [keyid], threshold: 1 }]),
      ),
    };
    this.#roots.push(signMetadata(signed, this.#keys.root));
  }
}

/** A certificate's target path and bytes. */
export function forgeCertificate(digest: string, classes: readonly string[]): { path: string; bytes: Buffer } {
  const certificate: Certificate = {
    digest,
    grants: classes.map((hardwareClass) => ({
      hardwareClass,
      policy: 'default-policy',
      measured: {},
      grantedAt: new Date().toISOString(),
    })),
  };
  return { path: certificateTargetPath(digest), bytes: Buffer.from(JSON.stringify(certificate)) };
}

/** The list of keys that sign desired states: its target path and bytes. */
export function forgeServerKeys(keys: readonly string[]): { path: string; bytes: Buffer } {
  return { path: SERVER_KEYS_TARGET, bytes: Buffer.from(JSON.stringify({ keys })) };
}
