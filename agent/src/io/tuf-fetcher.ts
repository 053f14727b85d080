import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeMessage, TUF_INDEX_TOPIC, type TufIndex, type TufRole, tufTopic } from '@vigie/protocol';
import type { Fetcher } from 'tuf-js';
import { DownloadHTTPError, DownloadLengthMismatchError } from 'tuf-js/dist/error.js';
import type { Link } from '../ports.js';
import { fetchRetained } from './retained-message.js';

/** What tuf-js calls base URL; only the last part of what it asks for means anything here. */
export const TUF_BASE_URL = 'mqtt://tuf';

/** Metadata could not be fetched: the line or the broker, not the metadata. */
export class TufFetchError extends Error {
  override readonly name = 'TufFetchError';
}

/**
 * tuf-js's fetcher over retained MQTT topics. A retained topic that does not exist says nothing, so the index topic
 * says what is there: what it does not name is answered by the HTTP 404 that tuf-js takes for "absent".
 */
export class TufTopicFetcher implements Fetcher {
  private constructor(
    private readonly link: Link,
    private readonly index: TufIndex,
    private readonly timeoutMs: number,
    private readonly signal: AbortSignal,
  ) {}

  /** Reads the index first. Throws TufFetchError when there is none. */
  static async open(link: Link, timeoutMs: number, signal: AbortSignal): Promise<TufTopicFetcher> {
    const decoded = decodeMessage('tuf-index', await retained(link, TUF_INDEX_TOPIC, timeoutMs, signal));
    if (!decoded.ok) throw new TufFetchError(`${TUF_INDEX_TOPIC}: ${decoded.code}: ${decoded.detail}`);
    return new TufTopicFetcher(link, decoded.message, timeoutMs, signal);
  }

  async downloadBytes(url: string, maxLength: number): Promise<Buffer> {
    const topic = this.topicOf(url);
    if (topic === null) throw new DownloadHTTPError(`${url} is not in the index`, 404);
    const bytes = await retained(this.link, topic, this.timeoutMs, this.signal);
    if (bytes.length > maxLength)
      throw new DownloadLengthMismatchError(`${topic}: ${bytes.length} bytes exceed ${maxLength}`);
    return bytes;
  }

  async downloadFile<T>(url: string, maxLength: number, handler: (file: string) => Promise<T>): Promise<T> {
    const bytes = await this.downloadBytes(url, maxLength);
    const folder = await mkdtemp(join(tmpdir(), 'vigie-tuf-'));
    try {
      const file = join(folder, 'metadata');
      await writeFile(file, bytes);
      return await handler(file);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  /** `.../3.root.json` → `tuf/root/3`; null for what the index does not name. */
  private topicOf(url: string): string | null {
    const match = /\/(?:([1-9]\d{0,9})\.)?(root|timestamp|snapshot|targets|certified)\.json$/.exec(url);
    if (match === null) return null;
    const role = match[2] as TufRole;
    if (role === 'timestamp') return tufTopic('timestamp', null);
    const newest = this.index[role];
    if (match[1] === undefined || newest === undefined || Number(match[1]) > newest) return null;
    return tufTopic(role, Number(match[1]));
  }
}

async function retained(link: Link, topic: string, timeoutMs: number, signal: AbortSignal): Promise<Buffer> {
  try {
    return await fetchRetained(link, topic, { timeoutMs, signal });
  } catch (error) {
    signal.throwIfAborted();
    throw new TufFetchError((error as Error).message, { cause: error });
  }
}
