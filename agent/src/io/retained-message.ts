import type { Link } from '../ports.js';

/** No retained message came in time: it does not exist, or the broker is slow. */
export class RetainedTimeoutError extends Error {
  override readonly name = 'RetainedTimeoutError';
  readonly code = 'RETAINED_TIMEOUT';
}

/**
 * Waits for the retained message of one exact topic. The time runs only while there is a connection, so that a cut line
 * is not taken for an absent message. Throws RetainedTimeoutError, or the signal's reason.
 */
export async function fetchRetained(
  link: Link,
  topic: string,
  { timeoutMs, signal }: { timeoutMs: number; signal?: AbortSignal },
): Promise<Buffer> {
  signal?.throwIfAborted();
  let timer: NodeJS.Timeout | undefined;
  let onAbort = () => {};
  let unsubscribe: (() => Promise<void>) | undefined;
  try {
    return await new Promise<Buffer>((resolve, reject) => {
      const arm = () => {
        timer = setTimeout(() => {
          if (link.connected) reject(new RetainedTimeoutError(`nothing on ${topic} within ${timeoutMs} ms`));
          else arm();
        }, timeoutMs);
      };
      onAbort = () => reject(signal?.reason);
      signal?.addEventListener('abort', onAbort, { once: true });
      link
        .subscribe(topic, (payload) => {
          // An empty payload is how a retained message is cleared.
          if (payload.byteLength > 0) resolve(Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength));
        })
        .then((off) => {
          unsubscribe = off;
          arm();
        }, reject);
    });
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
    await unsubscribe?.();
  }
}
