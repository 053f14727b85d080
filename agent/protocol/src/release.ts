import { type Static, Type } from '@sinclair/typebox';
import { Instant, ModelName, SemanticVersion, Sha256 } from './identifiers.js';
import { TrialPolicy } from './policies.js';
import { CHUNK_BYTES } from './topics.js';

/** A piece of something larger than a message: what its topic is called, and its bytes (1 to 65,536). */
export const ChunkReference = Type.Object({
  sha256: Sha256,
  size: Type.Integer({ minimum: 1, maximum: CHUNK_BYTES }),
});
export type ChunkReference = Static<typeof ChunkReference>;

export const Precision = Type.Union([Type.Literal('fp32'), Type.Literal('fp16'), Type.Literal('int8')]);
export type Precision = Static<typeof Precision>;

/** One file of a package and the chunks it is made of, in order. */
export const ReleaseFile = Type.Object({
  /** Relative path inside the package, forward slashes, no `..`. */
  path: Type.String({ pattern: '^(?!.*(^|/)\\.\\.?(/|$))[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$', maxLength: 200 }),
  /** Bytes. */
  size: Type.Integer({ minimum: 0, maximum: 1_073_741_824 }),
  sha256: Sha256,
  /** SHA-256 of each chunk, in order. Empty for an empty file. */
  chunks: Type.Array(Sha256, { maxItems: 262_144 }),
  /** Bytes of each chunk, in order; absent: 64 KiB each, the last one may be shorter. */
  chunkSizes: Type.Optional(Type.Array(Type.Integer({ minimum: 1, maximum: CHUNK_BYTES }), { maxItems: 262_144 })),
});
export type ReleaseFile = Static<typeof ReleaseFile>;

/**
 * What a board needs to know to fetch and check a release. It is a TUF target named `releases/{name}/{version}.json`.
 * Its bytes travel as one chunk named by the hash in `targets`, or, where they do not fit into one, as the chunks that the
 * target's `custom.chunks` (ChunkReference[]) names.
 */
export const ReleaseDescriptor = Type.Object({
  name: ModelName,
  version: SemanticVersion,
  /** Package digest: SHA-256 of the canonical list of (path, size, SHA-256). */
  digest: Sha256,
  precision: Precision,
  labels: Type.Array(Type.String({ minLength: 1, maxLength: 64 }), { minItems: 1, maxItems: 4096 }),
  files: Type.Array(ReleaseFile, { minItems: 1, maxItems: 256 }),
  requires: Type.Object({
    /** Lowest agent version that can run this package. */
    agent: Type.Optional(SemanticVersion),
    /** Hardware classes the package is meant for; empty or absent: any. */
    hardwareClasses: Type.Optional(Type.Array(Type.String({ maxLength: 64 }), { maxItems: 64 })),
    /** Resident memory that one inference child of it took in the server's own load test, bytes. */
    memoryBytes: Type.Optional(Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })),
  }),
  /** Thresholds by which a trial of this release is judged, where they differ from the defaults. */
  trial: Type.Optional(Type.Partial(TrialPolicy)),
});
export type ReleaseDescriptor = Static<typeof ReleaseDescriptor>;

/** TUF target path of a release's descriptor. */
export function releaseTargetPath(name: string, version: string): string {
  return `releases/${name}/${version}.json`;
}

/** Certified for every class: only the default policy, which measures nothing, says so. */
export const ANY_HARDWARE_CLASS = '*';

/**
 * The outcome of a gate: which hardware classes a release may be installed on, and why. A TUF target of the delegated role
 * `certified`, named `certificates/{package digest}.json`; its bytes travel as a descriptor's do. A board refuses a release
 * without a certificate for its own class.
 */
export const Certificate = Type.Object({
  /** Package digest. */
  digest: Sha256,
  grants: Type.Array(
    Type.Object({
      /** Hardware class, or `*`. */
      hardwareClass: Type.String({ pattern: '^(\\*|[a-z0-9][a-z0-9-]{0,63})$' }),
      /** Name of the policy that passed; `default-policy` until gates exist: nothing was measured. */
      policy: Type.String({ minLength: 1, maxLength: 64 }),
      /** Measured figures by metric name, e.g. `latencyMs.p95`. */
      measured: Type.Record(Type.String({ maxLength: 64 }), Type.Number()),
      grantedAt: Instant,
    }),
    { maxItems: 256 },
  ),
});
export type Certificate = Static<typeof Certificate>;

/** TUF target path of a release's certificate. */
export function certificateTargetPath(digest: string): string {
  return `certificates/${digest}.json`;
}

/** What the delegated role `certified` may list. */
export const CERTIFIED_PATHS = 'certificates/*';

/**
 * TUF target (of the top role, so that the publisher's keys vouch for it) that lists the keys which sign desired states and
 * commands. Absent: those of the enrolment count. A key that is no longer listed is revoked.
 */
export const SERVER_KEYS_TARGET = 'server-keys.json';
export const ServerKeys = Type.Object({
  /** Ed25519 public keys (SPKI, PEM). */
  keys: Type.Array(Type.String({ maxLength: 1000 }), { minItems: 1, maxItems: 8 }),
});
export type ServerKeys = Static<typeof ServerKeys>;

/** Largest metadata or descriptor that a board takes, bytes; above a message's size it travels as chunks. */
export const MAX_METADATA_BYTES = 4_194_304;

const Parts = Type.Optional(Type.Array(ChunkReference, { minItems: 1, maxItems: 64 }));

/** Which TUF metadata exists as retained topics. */
export const TufIndex = Type.Object({
  root: Type.Integer({ minimum: 1 }),
  timestamp: Type.Integer({ minimum: 1 }),
  snapshot: Type.Integer({ minimum: 1 }),
  targets: Type.Integer({ minimum: 1 }),
  /** The delegated role; absent until a server issues certificates. */
  certified: Type.Optional(Type.Integer({ minimum: 1 })),
  /** The newest version of a role that is larger than a message has no topic: its bytes are these chunks, in order. */
  parts: Type.Optional(Type.Object({ snapshot: Parts, targets: Parts, certified: Parts })),
});
export type TufIndex = Static<typeof TufIndex>;
