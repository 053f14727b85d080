import { createHash } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { chunkTopic } from '@vigie/protocol';
import type { Link } from '../ports.js';
import { InstallError } from '../update/install-error.js';
import { fetchRetained, RetainedTimeoutError } from './retained-message.js';

export interface ChunkFetcherOptions {
  link: Link;
  /** Chunks asked for at the same time: brokers drop what they would have to queue (Mosquitto above 1000). */
  window?: number;
  /** Patience per chunk and attempt while connected, ms. */
  timeoutMs?: number;
  /** Attempts per chunk before it counts as missing, or as corrupt when it came with other bytes. */
  attempts?: number;
}

/** Fetches chunks by their SHA-256 from retained topics. */
export class ChunkFetcher {
  private readonly link: Link;
  private readonly window: number;
  private readonly timeoutMs: number;
  private readonly attempts: number;

  constructor(options: ChunkFetcherOptions) {
    this.link = options.link;
    this.window = options.window ?? 16;
    this.timeoutMs = options.timeoutMs ?? 5000;
    this.attempts = options.attempts ?? 4;
  }

  /**
   * Fetches each chunk once and hands over its verified bytes, which are valid during the call only.
   * Throws InstallError CHUNK_MISSING or CHUNK_CORRUPT, whatever `onChunk` throws, or the signal's reason.
   */
  async fetch(
    wanted: readonly string[],
    onChunk: (sha256: string, bytes: Buffer) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    const failed = new AbortController();
    const both = AbortSignal.any([signal, failed.signal]);
    // Each chunk in the window listens to it.
    setMaxListeners(0, both);
    let next = 0;
    const worker = async (): Promise<void> => {
      while (next < wanted.length) {
        const sha256 = wanted[next];
        next += 1;
        await onChunk(sha256, await this.fetchOne(sha256, both));
      }
    };
    const workers = Array.from({ length: Math.min(this.window, wanted.length) }, async () => {
      try {
        await worker();
      } catch (error) {
        failed.abort(error);
        throw error;
      }
    });
    // The first fault ends the others; wait for all, so that nobody writes after we have returned.
    const ended = await Promise.allSettled(workers);
    signal.throwIfAborted();
    if (failed.signal.aborted && ended.some(({ status }) => status === 'rejected')) throw failed.signal.reason;
  }

  private async fetchOne(sha256: string, signal: AbortSignal): Promise<Buffer> {
    let corrupt = false;
    for (let attempt = 0; attempt < this.attempts; attempt += 1) {
      try {
        const bytes = await fetchRetained(this.link, chunkTopic(sha256), { timeoutMs: this.timeoutMs, signal });
        if (createHash('sha256').update(bytes).digest('hex') === sha256) return bytes;
        corrupt = true;
      } catch (error) {
        if (!(error instanceof RetainedTimeoutError)) throw error;
      }
    }
    throw corrupt
      ? new InstallError('CHUNK_CORRUPT', `chunk ${sha256} came with other bytes ${this.attempts} times`)
      : new InstallError('CHUNK_MISSING', `chunk ${sha256} did not come in ${this.attempts} attempts`);
  }
}
