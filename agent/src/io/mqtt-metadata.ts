import { createHash } from 'node:crypto';
import {
  CHUNK_BYTES,
  type ChunkReference,
  chunkTopic,
  decodeMessage,
  MAX_MESSAGE_BYTES,
  TUF_INDEX_TOPIC,
  type TufIndex,
  tufTopic,
} from '@vigie/protocol';
import type { Link } from '../ports.js';
import {
  MetadataMalformedError,
  MetadataMismatchError,
  type MetadataSession,
  type MetadataSource,
  MetadataTooLargeError,
  MetadataUnavailableError,
  type TargetReference,
} from './metadata-source.js';
import { fetchRetained, RetainedTooLargeError } from './retained-message.js';

/** Pieces asked for at the same time: a slow link shall carry one message in the patience for it. */
const WINDOW = 4;

const VERSIONED = ['root', 'snapshot', 'targets', 'certified'] as const;
type VersionedRole = (typeof VERSIONED)[number];

/**
 * TUF metadata from retained topics. A retained topic that does not exist says nothing, so the index topic says what is
 * there; it is unsigned, so it decides only what is asked for. What it does not name is absent.
 */
export class MqttMetadataSource implements MetadataSource {
  readonly name = 'mqtt';

  /** `timeoutMs`: patience per message while there is a connection. */
  constructor(
    private readonly link: Link,
    private readonly timeoutMs: number,
  ) {}

  async open(signal: AbortSignal): Promise<MetadataSession> {
    const bytes = await this.retained(TUF_INDEX_TOPIC, MAX_MESSAGE_BYTES, signal);
    const decoded = decodeMessage('tuf-index', bytes);
    if (!decoded.ok) throw new MetadataMalformedError(`${TUF_INDEX_TOPIC}: ${decoded.code}: ${decoded.detail}`);
    const index = decoded.message;
    return {
      metadata: (role, version, maxBytes) => this.metadata(index, role, version, maxBytes, signal),
      target: (reference) => this.target(reference, signal),
    };
  }

  private async metadata(
    index: TufIndex,
    role: string,
    version: number | null,
    maxBytes: number,
    signal: AbortSignal,
  ): Promise<Buffer | null> {
    if (role === 'timestamp') return this.retained(tufTopic('timestamp', null), maxBytes, signal);
    if (!isVersioned(role)) return null;
    const newest = index[role];
    if (version === null || newest === undefined || version > newest) return null;
    const parts = role !== 'root' && version === newest ? index.parts?.[role] : undefined;
    if (parts !== undefined) return this.join(`${role} ${version}`, parts, maxBytes, signal);
    return this.retained(tufTopic(role, version), maxBytes, signal);
  }

  private async target({ sha256, length, chunks }: TargetReference, signal: AbortSignal): Promise<Buffer> {
    if (chunks !== undefined) return this.join(`target ${sha256}`, chunks, length, signal);
    if (length > CHUNK_BYTES) {
      throw new MetadataMalformedError(
        `target ${sha256} takes ${length} bytes and names no chunks; one holds ${CHUNK_BYTES}`,
      );
    }
    return this.retained(chunkTopic(sha256), length, signal);
  }

  /** Fetches pieces in order, each checked by its own hash before the next ones are asked for. */
  private async join(
    what: string,
    parts: readonly ChunkReference[],
    maxBytes: number,
    signal: AbortSignal,
  ): Promise<Buffer> {
    const announced = parts.reduce((sum, { size }) => sum + size, 0);
    if (announced > maxBytes) {
      throw new MetadataTooLargeError(`${what}: its chunks make ${announced} bytes, ${maxBytes} are allowed`);
    }
    const pieces: Buffer[] = [];
    for (let at = 0; at < parts.length; at += WINDOW) {
      const window = parts.slice(at, at + WINDOW).map((part) => this.chunk(what, part, signal));
      pieces.push(...(await Promise.all(window)));
    }
    return Buffer.concat(pieces);
  }

  private async chunk(what: string, { sha256, size }: ChunkReference, signal: AbortSignal): Promise<Buffer> {
    const bytes = await this.retained(chunkTopic(sha256), size, signal);
    if (createHash('sha256').update(bytes).digest('hex') !== sha256) {
      throw new MetadataMismatchError(`${what}: chunk ${sha256} came with other bytes`);
    }
    return bytes;
  }

  private async retained(topic: string, maxBytes: number, signal: AbortSignal): Promise<Buffer> {
    try {
      return await fetchRetained(this.link, topic, { timeoutMs: this.timeoutMs, signal, maxBytes });
    } catch (error) {
      signal.throwIfAborted();
      const { message } = error as Error;
      if (error instanceof RetainedTooLargeError) throw new MetadataTooLargeError(message, { cause: error });
      throw new MetadataUnavailableError(message, { cause: error });
    }
  }
}

function isVersioned(role: string): role is VersionedRole {
  return (VERSIONED as readonly string[]).includes(role);
}
