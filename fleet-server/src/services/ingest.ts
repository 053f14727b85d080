import { createHash } from 'node:crypto';
import { Value } from '@sinclair/typebox/value';
import type { Reported } from '@vigie/protocol';
import {
  DELIVERY,
  decodeMessage,
  deviceTopic,
  encodeMessage,
  MAX_MESSAGE_BYTES,
  MESSAGE_SCHEMAS,
  type Presence,
  parseTopic,
} from '@vigie/protocol';
import type { Logger } from 'pino';
import { acceptsReport, applyPresence } from '../devices/ordering.js';
import type {
  DeviceChange,
  DeviceOrder,
  IngestBatch,
  IngestRepository,
  ReceivedTable,
  SnapshotRow,
} from '../io/database/ingest-repository.js';
import type { Broker, Now, ObjectStore } from '../ports.js';
import { Serial } from './serial.js';

/** Messages in one transaction. */
const MAX_BATCH = 500;
/** One line per device and minute tells of invalid messages. */
const COMPLAINT_EVERY_MS = 60_000;

/** Topic kinds with a boot id and a sequence, and where they are stored. */
const TABLE_OF = { reported: 'reports', telemetry: 'telemetry', events: 'events', replies: 'replies' } as const;
type SequencedKind = keyof typeof TABLE_OF;

interface Sequenced {
  bootId: string;
  sequence: number;
  at: string;
}

type Item = { deviceId: string; receivedAt: Date; done: () => void } & (
  | { kind: SequencedKind; message: Sequenced }
  | { kind: 'presence'; message: Presence }
  | { kind: 'snapshots'; row: SnapshotRow }
);

export interface IngestCounters {
  stored: number;
  invalid: number;
  failed: number;
  batches: number;
}

/** Takes what boards send: checks, commits in batches (whatever gathered during the commit before), then acknowledges. */
export class IngestService {
  readonly counters: IngestCounters = { stored: 0, invalid: 0, failed: 0, batches: 0 };
  readonly #waiting: Item[] = [];
  readonly #complained = new Map<string, number>();
  readonly #snapshotWrites = new Serial();
  #touched = new Map<string, Set<ReceivedTable | 'snapshots'>>();
  #flushing: Promise<void> | null = null;

  constructor(
    private readonly repository: IngestRepository,
    private readonly pictures: ObjectStore,
    private readonly broker: () => Broker,
    private readonly log: Logger,
    private readonly now: Now,
  ) {}

  /** Resolves when the message is committed or refused. Never rejects on what a board sends. */
  readonly handle = async (deviceId: string, topic: string, payload: Buffer): Promise<void> => {
    const parsed = parseTopic(topic);
    if (parsed === null) return;
    if (parsed.kind === 'snapshots') return this.#takeSnapshot(deviceId, parsed.eventId, payload);
    if (parsed.kind !== 'presence' && !(parsed.kind in TABLE_OF)) return;
    const kind = parsed.kind as SequencedKind | 'presence';
    const decoded = decodeMessage(kind, payload);
    if (!decoded.ok) return this.#complain(deviceId, kind, decoded.code, decoded.detail);
    const { message } = decoded;
    if (message.at !== undefined && Number.isNaN(Date.parse(message.at)))
      return this.#complain(deviceId, kind, 'SCHEMA', '/at: no such time');
    // Fields that this server does not know are not kept: what a board can store here is what the schema bounds.
    Value.Clean(MESSAGE_SCHEMAS[kind], message);
    const item = { deviceId, receivedAt: this.now(), kind, message } as Omit<Item, 'done'>;
    return this.#enqueue(item);
  };

  /** What was written since the last call: device → tables. For pruning. */
  takeTouched(): Map<string, Set<ReceivedTable | 'snapshots'>> {
    const touched = this.#touched;
    this.#touched = new Map();
    return touched;
  }

  /** Drops surplus pictures of a device; never between a picture's write and its row. */
  async pruneSnapshots(deviceId: string, keep: number): Promise<void> {
    await this.#snapshotWrites.run(async () => {
      for (const sha256 of await this.repository.pruneSnapshots(deviceId, keep)) await this.pictures.delete(sha256);
    });
  }

  async idle(): Promise<void> {
    await this.#snapshotWrites.idle();
    await this.#flushing;
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
      await this.#enqueue({ deviceId, receivedAt, kind: 'snapshots', row } as Omit<Item, 'done'>);
    });
  }

  #enqueue(item: Omit<Item, 'done'>): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push({ ...item, done: resolve } as Item);
      this.#flushing ??= this.#flush().finally(() => {
        this.#flushing = null;
      });
    });
  }

  async #flush(): Promise<void> {
    while (this.#waiting.length > 0) {
      const items = this.#waiting.splice(0, MAX_BATCH);
      try {
        await this.#commit(items);
      } catch (error) {
        if (items.length === 1) this.#fail(items[0], error as Error);
        // One message may have spoilt it for all: each on its own.
        else for (const item of items) await this.#commit([item]).catch((cause: Error) => this.#fail(item, cause));
      }
    }
  }

  #fail(item: Item, error: Error): void {
    this.counters.failed += 1;
    this.log.error({ deviceId: item.deviceId, kind: item.kind, err: error }, 'a message could not be committed');
    item.done();
  }

  async #commit(items: readonly Item[]): Promise<void> {
    const ordered = items.filter((item) => item.kind === 'presence' || item.kind === 'reported');
    const orders = await this.repository.orders([...new Set(ordered.map((item) => item.deviceId))]);
    const batch: IngestBatch = {
      rows: { reports: [], telemetry: [], events: [], replies: [] },
      snapshots: [],
      devices: new Map(),
    };
    const pictures = new Map<string, SnapshotRow>();
    for (const item of items) {
      if (item.kind === 'snapshots') pictures.set(`${item.deviceId}/${item.row.eventId}`, item.row);
      else if (item.kind === 'presence') takePresence(item, orders, batch.devices);
      else {
        const { deviceId, receivedAt, message } = item;
        const { bootId, sequence, at } = message;
        batch.rows[TABLE_OF[item.kind]].push({
          deviceId,
          bootId,
          sequence,
          at: new Date(at),
          receivedAt,
          body: message,
        });
        if (item.kind === 'reported') takeReport(item, orders, batch.devices);
      }
    }
    batch.snapshots = [...pictures.values()];
    await this.repository.commit(batch);
    this.counters.batches += 1;
    this.counters.stored += items.length;
    for (const item of items) this.#finish(item);
  }

  #finish(item: Item): void {
    const table = item.kind === 'snapshots' ? 'snapshots' : item.kind === 'presence' ? null : TABLE_OF[item.kind];
    if (table !== null) {
      const tables = this.#touched.get(item.deviceId) ?? new Set();
      this.#touched.set(item.deviceId, tables.add(table));
    }
    if (item.kind === 'reported' || item.kind === 'events' || item.kind === 'replies') {
      const { bootId, sequence } = item.message;
      this.broker().publish(
        deviceTopic(item.deviceId, 'acks'),
        encodeMessage('acks', { bootId, sequence }),
        DELIVERY.acks,
      );
    }
    item.done();
  }

  #complain(deviceId: string, kind: string, code: string, detail: string): void {
    this.counters.invalid += 1;
    const at = this.now().getTime();
    if (at - (this.#complained.get(deviceId) ?? Number.NEGATIVE_INFINITY) < COMPLAINT_EVERY_MS) return;
    this.#complained.set(deviceId, at);
    this.log.warn({ deviceId, kind, code, detail: detail.slice(0, 300) }, 'invalid message ignored');
  }
}

function changeOf(changes: Map<string, DeviceChange>, deviceId: string): DeviceChange {
  const change = changes.get(deviceId) ?? {};
  changes.set(deviceId, change);
  return change;
}

function takePresence(
  item: { deviceId: string; receivedAt: Date; message: Presence },
  orders: Map<string, DeviceOrder>,
  changes: Map<string, DeviceChange>,
): void {
  const order = orders.get(item.deviceId);
  const next = order === undefined ? null : applyPresence(order, item.message);
  if (order === undefined || next === null) return;
  orders.set(item.deviceId, { ...next, reported: order.reported });
  changeOf(changes, item.deviceId).history = {
    bootId: next.bootId,
    pastBoots: next.pastBoots,
    online: next.online,
    at: item.receivedAt,
  };
}

function takeReport(
  item: { deviceId: string; receivedAt: Date; message: Sequenced },
  orders: Map<string, DeviceOrder>,
  changes: Map<string, DeviceChange>,
): void {
  const order = orders.get(item.deviceId);
  if (order === undefined || !acceptsReport(order, order.reported, item.message)) return;
  orders.set(item.deviceId, { ...order, reported: { bootId: item.message.bootId, sequence: item.message.sequence } });
  changeOf(changes, item.deviceId).reported = {
    body: item.message as unknown as Reported,
    receivedAt: item.receivedAt,
  };
}
