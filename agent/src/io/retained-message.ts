import { MAX_MESSAGE_BYTES } from '@vigie/protocol';
import type { Link } from '../ports.js';

/** No retained message came in time: it does not exist, or the broker is slow. */
export class RetainedTimeoutError extends Error {
  override readonly name = 'RetainedTimeoutError';
  readonly code = 'RETAINED_TIMEOUT';
}

/** The message is larger than was announced, or than any message may be. */
export class RetainedTooLargeError extends Error {
  override readonly name = 'RetainedTooLargeError';
  readonly code = 'RETAINED_TOO_LARGE';
}

/**
 * Waits for the retained message of one exact topic. The time runs only while there is a connection, so that a cut line
 * is not taken for an absent message. Throws RetainedTimeoutError, RetainedTooLargeError above `maxBytes`, or the signal's
 * reason.
 */
export async function fetchRetained(
  link: Link,
  topic: string,
  { timeoutMs, signal, maxBytes }: { timeoutMs: number; signal?: AbortSignal; maxBytes?: number },
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
      const tooLarge = (bytes: number) =>
        reject(
          new RetainedTooLargeError(`${topic}: ${bytes} bytes, at most ${maxBytes ?? MAX_MESSAGE_BYTES} are allowed`),
        );
      link
        .subscribe(
          topic,
          (payload) => {
            if (maxBytes !== undefined && payload.byteLength > maxBytes) tooLarge(payload.byteLength);
            // An empty payload is how a retained message is cleared.
            else if (payload.byteLength > 0)
              resolve(Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength));
          },
          tooLarge,
        )
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
