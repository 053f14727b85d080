import type { ChunkReference } from '@vigie/protocol';

/** Nothing came: the line, the broker or the server, not the metadata. */
export class MetadataUnavailableError extends Error {
  override readonly name = 'MetadataUnavailableError';
}

/** More bytes came than were announced or are allowed ("endless data", TUF specification 1.0.31, 1.5.2). */
export class MetadataTooLargeError extends Error {
  override readonly name = 'MetadataTooLargeError';
}

/** A piece is not what its name, its hash, says. */
export class MetadataMismatchError extends Error {
  override readonly name = 'MetadataMismatchError';
}

/** What does not follow the wire contract. */
export class MetadataMalformedError extends Error {
  override readonly name = 'MetadataMalformedError';
}

/** A small target (descriptor, certificate, list of keys) as signed metadata names it. */
export interface TargetReference {
  sha256: string;
  /** Bytes. */
  length: number;
  /** What it is made of when it does not fit into one chunk. */
  chunks?: readonly ChunkReference[];
}

/** One update's look at a source: what it names as present does not change during it. */
export interface MetadataSession {
  /**
   * Bytes of a role's metadata; `version` null: the newest, which only `timestamp` is asked for. Null: there is no such
   * version. Throws MetadataUnavailableError, MetadataTooLargeError, MetadataMismatchError, or the signal's reason.
   */
  metadata(role: string, version: number | null, maxBytes: number): Promise<Buffer | null>;
  /** Bytes of a target, at most its length; the caller checks the hash. Throws as `metadata` does. */
  target(reference: TargetReference): Promise<Buffer>;
}

/** Where signed metadata comes from. Nothing that a source says is believed before its signature was checked. */
export interface MetadataSource {
  /** For logs: `mqtt`, `https`. */
  readonly name: string;
  /** Throws MetadataUnavailableError, MetadataMalformedError, or the signal's reason. */
  open(signal: AbortSignal): Promise<MetadataSession>;
}
