import { type Static, Type } from '@sinclair/typebox';
import { ModelName, SemanticVersion, Sha256 } from './identifiers.js';

export const Precision = Type.Union([Type.Literal('fp32'), Type.Literal('fp16'), Type.Literal('int8')]);
export type Precision = Static<typeof Precision>;

/** One file of a package and the chunks it is made of, in order. */
export const ReleaseFile = Type.Object({
  /** Relative path inside the package, forward slashes, no `..`. */
  path: Type.String({ pattern: '^(?!.*(^|/)\\.\\.?(/|$))[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$', maxLength: 200 }),
  /** Bytes. */
  size: Type.Integer({ minimum: 0, maximum: 1_073_741_824 }),
  sha256: Sha256,
  /** SHA-256 of each 64 KiB chunk, in order; the last one may be shorter. Empty for an empty file. */
  chunks: Type.Array(Sha256, { maxItems: 16_384 }),
});
export type ReleaseFile = Static<typeof ReleaseFile>;

/**
 * What a board needs to know to fetch and check a release. It is a TUF target named
 * `releases/{name}/{version}.json`; its bytes travel as a chunk named by the hash in `targets`.
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
  }),
});
export type ReleaseDescriptor = Static<typeof ReleaseDescriptor>;

/** TUF target path of a release's descriptor. */
export function releaseTargetPath(name: string, version: string): string {
  return `releases/${name}/${version}.json`;
}

/** Which TUF metadata exists as retained topics. */
export const TufIndex = Type.Object({
  root: Type.Integer({ minimum: 1 }),
  timestamp: Type.Integer({ minimum: 1 }),
  snapshot: Type.Integer({ minimum: 1 }),
  targets: Type.Integer({ minimum: 1 }),
  /** The delegated role; absent until a server issues certificates. */
  certified: Type.Optional(Type.Integer({ minimum: 1 })),
});
export type TufIndex = Static<typeof TufIndex>;
