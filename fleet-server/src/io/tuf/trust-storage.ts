/** One file of the repository: its new bytes, or null when it goes. */
export interface TrustWrite {
  name: string;
  bytes: Buffer | string | null;
}

export interface StoredTrust {
  /** What `apply` is to be based on. */
  revision: number;
  files: ReadonlyMap<string, Buffer>;
}

/**
 * Where the files of the TUF repository are kept, by names such as `3.targets.json` and `staged/root.json`: a folder of one
 * server, or a database that several share.
 */
export interface TrustStorage {
  /** For messages. */
  readonly place: string;
  /** Everything as it was at one moment. */
  load(): Promise<StoredTrust>;
  /** Grows with every `apply` of anybody. */
  revision(): Promise<number>;
  /**
   * Writes in this order, so that what names a file comes after it. Returns the revision that it makes; null: somebody else wrote
   * since `revision`, and nothing was written. A crash in between leaves the first ones, or none.
   */
  apply(writes: readonly TrustWrite[], revision: number): Promise<number | null>;
}
