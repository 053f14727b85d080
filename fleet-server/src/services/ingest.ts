import { createHash } from 'node:crypto';
import { Value } from '@sinclair/typebox/value';
import {
  DELIVERY,
  decodeMessage,
  deviceTopic,
  encodeMessage,
  MAX_MESSAGE_BYTES,
  MESSAGE_SCHEMAS,
  parseTopic,
} from '@vigie/protocol';
import type { Logger } from 'pino';
import type { IngestRepository } from '../io/database/ingest-repository.js';
import type { Broker, Now, ObjectStore } from '../ports.js';
import { HistoryGrowth } from './history-growth.js';
import { batchOf, type Received, type SequencedKind, TABLE_OF } from './ingest-batch.js';
import { IngestLane } from './ingest-lane.js';
import { Serial } from './serial.js';

/** Times that a device is looked at anew. */
const MAX_ROUNDS = 8;
/** Payloads that may wait while the database is away, bytes; of what comes on top, boards send again what is not acknowledged. */
const MAX_WAITING_BYTES = 256 * 1024 * 1024;
/** One line per device and minute tells of invalid messages. */
const COMPLAINT_EVERY_MS = 60_000;

export interface IngestCounters {
  stored: number;
  invalid: number;
  failed: number;
  batches: number;
  /** Bytes of payloads that wait for the database. */
  waitingBytes: number;
  /** Messages that found no place to wait in. */
  dropped: number;
}

/**
 * Takes what boards send: checks, commits in batches, then acknowledges. What boards say of themselves is decided on what they
 * said before and has a lane of its own; measurements and events need not wait for that.
 */
export class IngestService {
  readonly counters: IngestCounters = {
    ...{ stored: 0, invalid: 0, failed: 0, batches: 0 },
    ...{ waitingBytes: 0, dropped: 0 },
  };
  readonly #states: IngestLane<Received>;
  readonly #histories: IngestLane<Received>;
  readonly #complained = new Map<string, number>();
  readonly #snapshotWrites = new Serial();
  /** What was written since histories were cut. */
  readonly growth = new HistoryGrowth();
  readonly #listeners: (() => void)[] = [];
  #birthListener: (deviceIds: string[]) => void = () => undefined;

  constructor(
    private readonly repository: IngestRepository,
    private readonly pictures: ObjectStore,
    private readonly broker: () => Broker,
    private readonly log: Logger,
    private readonly now: Now,
  ) {
    const commit = (items: readonly Received[]) => this.#commit(items);
    const failed = (item: Received, error: Error) => this.#fail(item, error);
    this.#states = new IngestLane('states', commit, failed, log);
    this.#histories = new IngestLane('histories', commit, failed, log);
  }

  /**
   * Resolves when the message is committed or refused; waits for a database that is away. Never rejects on what a board sends;
   * rejects when this ends before it could be committed, and when a picture cannot be stored.
   */
  readonly handle = async (deviceId: string, topic: string, payload: Buffer): Promise<void> => {
    const parsed = parseTopic(topic);
    if (parsed === null) return;
    if (this.counters.waitingBytes + payload.length > MAX_WAITING_BYTES) {
      this.counters.dropped += 1;
      return;
    }
    this.counters.waitingBytes += payload.length;
    try {
      await this.#take(deviceId, parsed, payload);
    } finally {
      this.counters.waitingBytes -= payload.length;
    }
  };

  /** Calls back with boards that have just come, once that is committed. */
  onBirth(listener: (deviceIds: string[]) => void): void {
    this.#birthListener = listener;
  }

  /** Calls back after each commit of a report, a birth or a last will. Cheap work only: it stands between commit and answer. */
  onReported(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** Holds nothing any more: what cannot be committed now fails. */
  stop(): void {
    this.#states.stop();
    this.#histories.stop();
  }

  async #take(deviceId: string, parsed: NonNullable<ReturnType<typeof parseTopic>>, payload: Buffer): Promise<void> {
    if (parsed.kind === 'snapshots') return this.#takeSnapshot(deviceId, parsed.eventId, payload);
    if (parsed.kind !== 'presence' && !(parsed.kind in TABLE_OF)) return;
    // A retained message that was cleared.
    if (payload.length === 0 && DELIVERY[parsed.kind as 'presence'].retain) return;
    const kind = parsed.kind as SequencedKind | 'presence';
    const decoded = decodeMessage(kind, payload);
    if (!decoded.ok) return this.#complain(deviceId, kind, decoded.code, decoded.detail);
    const { message } = decoded;
    if (message.at !== undefined && Number.isNaN(Date.parse(message.at)))
      return this.#complain(deviceId, kind, 'SCHEMA', '/at: no such time');
    // Fields that this server does not know are not kept: what a board can store here is what the schema bounds.
    Value.Clean(MESSAGE_SCHEMAS[kind], message);
    const lane = kind === 'reported' || kind === 'presence' ? this.#states : this.#histories;
    return lane.take({ deviceId, receivedAt: this.now(), kind, message } as Received, isDoubtful(payload));
  }

  /** Drops surplus pictures of a device; never between a picture's write and its row. */
  async pruneSnapshots(deviceId: string, keep: number): Promise<void> {
    await this.#snapshotWrites.run(async () => {
      for (const sha256 of await this.repository.pruneSnapshots(deviceId, keep)) await this.pictures.delete(sha256);
    });
  }

  async idle(): Promise<void> {
    await this.#snapshotWrites.idle();
    await Promise.all([this.#states.idle(), this.#histories.idle()]);
  }

  async #takeSnapshot(deviceId: string, eventId: string, payload: Buffer): Promise<void> {
    if (
      payload.length === 0 ||
      payload.length > MAX_MESSAGE_BYTES ||
      payload.readUIntBE(0, Math.min(3, payload.length)) !== 0xffd8ff
    ) {
      return this.#complain(deviceId, 'snapshots', 'NOT_JPEG', `${payload.length} bytes`);
    }
    const sha256 = createHash('sha256').update(payload).digest('hex');
    const receivedAt = this.now();
    await this.#snapshotWrites.run(async () => {
      await this.pictures.put(sha256, payload);
      const row = { deviceId, eventId, sha256, bytes: payload.length, receivedAt };
      await this.#histories.take({ deviceId, receivedAt, kind: 'snapshots', row }, false);
    });
  }

  #fail(item: Received, error: Error): void {
    this.counters.failed += 1;
    this.log.error({ deviceId: item.deviceId, kind: item.kind, err: error }, 'a message could not be committed');
  }

  async #commit(items: readonly Received[]): Promise<void> {
    await this.#write(items);
    this.counters.batches += 1;
    this.counters.stored += items.length;
    for (const item of items) this.#finish(item);
    const born = items.flatMap((item) => (item.kind === 'presence' && item.message.online ? [item.deviceId] : []));
    if (born.length > 0) this.#birthListener(born);
  }

  /** Another replica may change a device between the look at it and the write: then once more for that device. */
  async #write(items: readonly Received[]): Promise<void> {
    let left = items;
    for (let round = 0; left.length > 0 && round < MAX_ROUNDS; round += 1) {
      const ids = new Set(
        left.filter(({ kind }) => kind === 'presence' || kind === 'reported').map((one) => one.deviceId),
      );
      const stale = new Set(await this.repository.commit(batchOf(left, await this.repository.orders([...ids]))));
      left = left.filter(({ deviceId, kind }) => stale.has(deviceId) && (kind === 'presence' || kind === 'reported'));
    }
    if (left.length > 0) throw new Error(`${left[0].deviceId} changed ${MAX_ROUNDS} times while it was written`);
  }

  #finish(item: Received): void {
    const table = item.kind === 'snapshots' ? 'snapshots' : item.kind === 'presence' ? null : TABLE_OF[item.kind];
    if (table !== null) this.growth.add(item.deviceId, table);
    if (item.kind === 'reported' || item.kind === 'events' || item.kind === 'replies') {
      const { bootId, sequence } = item.message;
      this.broker().publish(
        deviceTopic(item.deviceId, 'acks'),
        encodeMessage('acks', { bootId, sequence }),
        DELIVERY.acks,
      );
    }
    if (item.kind === 'reported' || item.kind === 'presence') for (const listener of this.#listeners) listener();
  }

  #complain(deviceId: string, kind: string, code: string, detail: string): void {
    this.counters.invalid += 1;
    const at = this.now().getTime();
    if (at - (this.#complained.get(deviceId) ?? Number.NEGATIVE_INFINITY) < COMPLAINT_EVERY_MS) return;
    this.#complained.set(deviceId, at);
    this.log.warn({ deviceId, kind, code, detail: detail.slice(0, 300) }, 'invalid message ignored');
  }
}

/** Escapes of NUL and of halves of surrogate pairs: JSON may hold them, PostgreSQL's jsonb may not. */
function isDoubtful(payload: Buffer): boolean {
  return payload.includes('\\u0000') || payload.includes('\\ud') || payload.includes('\\uD');
}
