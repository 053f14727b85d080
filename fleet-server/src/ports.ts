import type { KeyObject } from 'node:crypto';
import type { Readable } from 'node:stream';
import type { ChunkReference, ReleaseDescriptor, TufRole } from '@vigie/protocol';

/** What the server's services ask of the world. Adapters stand in `io/`; only `main.ts` and the command lines name them. */

/** Wall clock. */
export type Now = () => Date;

/** Bytes under the name of their SHA-256. */
export interface ObjectStore {
  /** Stores a stream; nothing remains unless it hashes to `sha256`. An object that exists is not written again, but counts as new. */
  put(sha256: string, bytes: Readable | Buffer): Promise<void>;
  /** Throws ObjectMissingError. */
  get(sha256: string): Promise<Buffer>;
  /** A part of an object as a stream, bytes. Throws ObjectMissingError. */
  read(sha256: string, part: { offset: number; length: number }): Promise<Readable>;
  /** Yields these parts of an object, bytes; one that reaches past its end comes shorter. */
  pieces(sha256: string, places: readonly { offset: number; length: number }[]): AsyncIterable<Buffer>;
  delete(sha256: string): Promise<void>;
  /** Every object, in no order. What comes or goes meanwhile may or may not be among them. */
  list(): AsyncIterable<StoredObject>;
  /** Deletes an object unless it was put, or put again, since `before`. Returns whether it deleted it. */
  collect(sha256: string, before: Date): Promise<boolean>;
}

export interface StoredObject {
  sha256: string;
  bytes: number;
  /** Last time that it was put, also where its bytes were there already. */
  putAt: Date;
}

/** An object that the database names and the store does not hold. */
export class ObjectMissingError extends Error {
  readonly code = 'OBJECT_MISSING';
}

/** The object store did not do as it was asked: it cannot be reached or cannot work now, or it refuses this server. */
export class ObjectStoreError extends Error {
  constructor(
    readonly code: 'OBJECT_STORE_UNAVAILABLE' | 'OBJECT_STORE_REFUSED',
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

export interface PublishOptions {
  qos: 0 | 1;
  retain: boolean;
}

/** The MQTT side. Messages are handed over in order; delivery to a slow board never holds the caller. */
export interface Broker {
  publish(topic: string, payload: Buffer, options: PublishOptions): void;
  /** Ends the live session of a device, if there is one. */
  disconnect(deviceId: string): void;
  readonly connections: number;
}

/** Who is at the other end of an MQTT connection. */
export type Principal =
  | { kind: 'device'; deviceId: string }
  | {
      kind: 'operator';
      /** Tells who may end the connection when its token ends, and how; returns how to take that back when it is gone. */
      hold: (end: () => void) => () => void;
    };

/** A board's certificate that the fleet's authority signed. */
export interface PeerCertificate {
  deviceId: string;
  /** 32 lower-case hex digits. */
  serial: string;
  expiresAt: Date;
}

export interface Credentials {
  clientId: string;
  username: string;
  password: Buffer;
  /** Of a connection by mutual TLS; null on the plain listener. */
  certificate: PeerCertificate | null;
}

/** Judges a login; null refuses it. */
export type Authenticate = (credentials: Credentials) => Promise<Principal | null>;

/** Takes a message that a device published; resolves once it is committed (or refused): the device is held until then. */
export type MessageHandler = (deviceId: string, topic: string, payload: Buffer) => Promise<void>;

/** One target as TUF lists it. */
export interface TargetEntry {
  path: string;
  /** Bytes. */
  length: number;
  sha256: string;
  /** The pieces it travels in, where it does not fit into one. */
  chunks?: readonly ChunkReference[];
}

/** What the fleet may install: releases are the publisher's word (`targets`), certificates the gate's (`certified`). */
export interface Listing {
  releases: readonly TargetEntry[];
  certificates: readonly TargetEntry[];
}

/** Signed metadata as it travels: the topic's role and version, and the exact bytes. */
export interface SignedMetadata {
  role: TufRole;
  version: number;
  bytes: Buffer;
}

/** The TUF repository of released models. */
export interface TargetRepository {
  /**
   * Makes `targets` and `certified` list exactly these; signs and stores new versions only when something changed. Where the
   * keys of `targets` are offline its change waits for signatures; `certified` changes at once. Returns whether something was published.
   */
  publishListing(listing: Listing): Promise<boolean>;
  /** Signs anew what comes near its expiry. Returns whether something changed. */
  renew(): Promise<boolean>;
  /** Takes over what other replicas published. Returns whether something changed. */
  refresh(): Promise<boolean>;
  /** Has another replica published something that is not taken over yet? */
  isBehind(): Promise<boolean>;
  /** Everything a board may ask for now: each root, and the present and previous version of the others. */
  metadata(): SignedMetadata[];
  /** Newest version of each role. */
  versions(): Record<TufRole, number>;
  /** Newest root as text: where an enrolling board begins to trust. */
  rootText(): string;
  /** Does the published `targets` list this path? */
  isPublished(path: string): boolean;
  /** Bytes that the larger of `targets` and `certified` would take with these entries added, about. */
  sizeWith(listing: Listing): number;
  /** The published list of keys of desired states: the target `server-keys.json`. */
  serverKeys(): { pems: string[]; bytes: Buffer; sha256: string };
  /** Private keys that sign desired states and commands. */
  desiredKeys(): KeyObject[];
}

/** Why a package was refused by the sandbox. */
export const SANDBOX_CODES = [
  'PACKAGE_INVALID',
  'MODEL_LOAD_FAILED',
  'GOLDEN_MISMATCH',
  'VERIFICATION_TIMEOUT',
  'VERIFICATION_OUT_OF_MEMORY',
  'VERIFICATION_CRASHED',
] as const;
export type SandboxCode = (typeof SANDBOX_CODES)[number];

export type SandboxResult =
  | { ok: true; descriptor: ReleaseDescriptor }
  | { ok: false; code: SandboxCode; packageCode?: string; detail: string };

/** Unpacks an archive into an empty folder, loads the model and runs its golden test, away from the server's process. */
export type VerifyArchive = (archive: string, directory: string) => Promise<SandboxResult>;
