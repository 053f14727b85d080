import {
  type ChunkReference,
  chunkTopic,
  DELIVERY,
  encodeMessage,
  MAX_MESSAGE_BYTES,
  TUF_INDEX_TOPIC,
  type TufIndex,
  tufTopic,
} from '@vigie/protocol';
import type { Broker, TargetRepository } from '../ports.js';
import { cutIntoPieces } from './pieces.js';

const EMPTY = Buffer.alloc(0);

/** Keeps the retained topics of TUF metadata equal to the repository. */
export class MetadataTopics {
  #topics = new Set<string>();

  constructor(
    private readonly targets: TargetRepository,
    private readonly broker: Broker,
  ) {}

  /** Forgets what the broker was given: the next `publish` sends everything again. */
  forget(): void {
    this.#topics = new Set();
  }

  /** The index comes last: what it names is there. What is named no longer goes after it. */
  publish(): void {
    const topics = new Set<string>();
    const parts: Partial<Record<'snapshot' | 'targets' | 'certified', ChunkReference[]>> = {};
    const versions = this.targets.versions();
    for (const { role, version, bytes } of this.targets.metadata()) {
      if (bytes.length <= MAX_MESSAGE_BYTES) {
        this.#send(topics, tufTopic(role, role === 'timestamp' ? null : version), bytes, role === 'timestamp');
        continue;
      }
      // Larger than a message: its pieces are topics of their own, and the index says which. A version before the newest has no
      // place there, so who is at it begins again.
      const pieces = cutIntoPieces(bytes);
      for (const { reference, bytes: piece } of pieces) this.#send(topics, chunkTopic(reference.sha256), piece, false);
      if (version === versions[role] && (role === 'snapshot' || role === 'targets' || role === 'certified'))
        parts[role] = pieces.map(({ reference }) => reference);
    }
    const index: TufIndex = { ...versions, ...(Object.keys(parts).length === 0 ? {} : { parts }) };
    this.broker.publish(TUF_INDEX_TOPIC, encodeMessage('tuf-index', index), DELIVERY['tuf-index']);
    for (const topic of this.#topics) if (!topics.has(topic)) this.broker.publish(topic, EMPTY, DELIVERY.tuf);
    this.#topics = topics;
  }

  /** Was nothing published yet, or was it forgotten? */
  get isEmpty(): boolean {
    return this.#topics.size === 0;
  }

  #send(topics: Set<string>, topic: string, bytes: Buffer, always: boolean): void {
    if (always || (!this.#topics.has(topic) && !topics.has(topic))) this.broker.publish(topic, bytes, DELIVERY.tuf);
    topics.add(topic);
  }
}
