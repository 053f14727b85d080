import { isChunk } from '@vigie/agent/io/delivery/verified-chunk';
import type { Clock, Link } from '@vigie/agent/ports';
import { InstallError } from '@vigie/agent/update/install-error';
import { chunkTopic } from '@vigie/protocol';

/** A chunk by its hash and size, bytes. */
export interface SimulatedChunk {
  sha256: string;
  length: number;
}

/** Chunks asked for at the same time, as the agent does at the most: some brokers drop more. */
const WINDOW = 8;
const ATTEMPTS = 5;

/**
 * Fetches chunks from their retained topics, a window of them at a time, and compares each with its signed hash; the bytes are
 * not kept. `onChunk` is called for each one that is right. Throws InstallError CHUNK_CORRUPT, CHUNK_MISSING, or the signal's
 * reason.
 */
export async function fetchChunks(
  { link, clock, messageMs, signal }: { link: Link; clock: Clock; messageMs: number; signal: AbortSignal },
  chunks: readonly SimulatedChunk[],
  onChunk: (chunk: SimulatedChunk) => void,
): Promise<void> {
  const waiting = [...chunks];
  const lane = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      await fetchOne(next);
      onChunk(next);
    }
  };
  const fetchOne = async (chunk: SimulatedChunk): Promise<void> => {
    let corrupt = false;
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const bytes = await oneMessage(link, clock, chunkTopic(chunk.sha256), messageMs, signal);
      if (bytes !== null && isChunk(chunk, bytes)) return;
      corrupt = bytes !== null;
    }
    const code = corrupt ? 'CHUNK_CORRUPT' : 'CHUNK_MISSING';
    throw new InstallError(code, `chunk ${chunk.sha256} ${corrupt ? 'came with other bytes' : 'did not come'}`);
  };
  await Promise.all(Array.from({ length: WINDOW }, lane));
}

/** The retained message of a topic; null when it did not come in time over a connection that stands. */
function oneMessage(
  link: Link,
  clock: Clock,
  topic: string,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Uint8Array | null> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason);
      return;
    }
    let cancel = () => {};
    const off = link.subscribe(topic, (payload) => {
      if (payload.byteLength > 0) settle(() => resolve(payload));
    });
    const settle = (end: () => void): void => {
      cancel();
      signal.removeEventListener('abort', abort);
      void off.then((unsubscribe) => unsubscribe());
      end();
    };
    const abort = (): void => settle(() => reject(signal.reason));
    signal.addEventListener('abort', abort, { once: true });
    const arm = (): void => {
      cancel = clock.after(timeoutMs, () => {
        if (link.connected) settle(() => resolve(null));
        else arm();
      });
    };
    arm();
  });
}
