import type { TransportName } from '../../update/delivery.js';
import type { DeliveryMeter } from './delivery-meter.js';

/** A chunk that this board does not hold. Lengths and offsets in bytes. */
export interface WantedChunk {
  sha256: string;
  length: number;
  /** A file that it is part of, and where: a server may know files only. */
  file: { sha256: string; offset: number };
}

export interface FetchContext {
  /** Takes the verified bytes of one chunk, which are valid during the call only. Called once per chunk. */
  onChunk(sha256: string, bytes: Buffer): Promise<void>;
  /** Asked before anything is fetched, told of all that came. */
  meter: DeliveryMeter;
  signal: AbortSignal;
}

/** One way by which chunks come. */
export interface ChunkTransport {
  readonly name: TransportName;
  /**
   * Fetches each chunk, verified by its hash. Throws InstallError CHUNK_MISSING when it came to a standstill (another way may do),
   * CHUNK_CORRUPT, CHUNK_TOO_LARGE, DOWNLOAD_REFUSED, DATA_BUDGET_EXCEEDED, whatever `onChunk` throws, or the signal's reason.
   * When it returns or throws, no call of `onChunk` is under way. `patient`: there is no other way; wait for a lost connection.
   */
  fetch(wanted: readonly WantedChunk[], context: FetchContext, patient: boolean): Promise<void>;
}
