import { createHash } from 'node:crypto';
import { Value } from '@sinclair/typebox/value';
import {
  DELIVERY,
  decodeMessage,
  deviceTopic,
  encodeMessage,
  MAX_MESSAGE_BYTES,
  MESSAGE_SCHEMAS,
  type Presence,
  parseTopic,
  type Reported,
  type Telemetry,
} from '@vigie/protocol';
import type { Logger } from 'pino';
import { acceptsReport, applyPresence } from '../devices/ordering.js';
import { reportState, stateText } from '../devices/report-state.js';
import { rollupPart } from '../devices/telemetry-rollup.js';
import type {
  DeviceChange,
  DeviceOrder,
  IngestBatch,
  IngestRepository,
  ReceivedRow,
  ReceivedTable,
  SnapshotRow,
} from '../io/database/ingest-repository.js';
import type { Broker, Now, ObjectStore } from '../ports.js';
import { Serial } from './serial.js';

/** Messages in one transaction. */
const MAX_BATCH = 500;
/** Times that a device is looked at anew. */
const MAX_ROUNDS = 8;
const MINUTE = 60_000;
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

type Item = {
  deviceId: string;
  receivedAt: Date;
  /** It may hold text that PostgreSQL cannot: committed on its own, so that it takes nothing along. */
  alone: boolean;
  done: () => void;
} & (
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
    const item = { deviceId, receivedAt: this.now(), kind, message, alone: isDoubtful(payload) } as Omit<Item, 'done'>;
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
      await this.#enqueue({ deviceId, receivedAt, kind: 'snapshots', row, alone: false } as Omit<Item, 'done'>);
    });
  }

  #enqueue(item: Omit<Item, 'done'>): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push({ ...item, done: resolve } as Item);
      this.#flushing ??= this.#flush();
    });
  }

  async #flush(): Promise<void> {
    // Whoever enqueues after this must find that nobody flushes: not a turn later, or the message would lie there.
    await null;
    while (this.#waiting.length > 0) await this.#flushSome();
    this.#flushing = null;
  }

  async #flushSome(): Promise<void> {
    const alone = this.#waiting.slice(0, MAX_BATCH).findIndex((item) => item.alone);
    const items = this.#waiting.splice(0, alone < 0 ? MAX_BATCH : Math.max(1, Math.min(alone, MAX_BATCH)));
    try {
      await this.#commit(items);
    } catch (error) {
      if (items.length === 1) this.#fail(items[0], error as Error);
      // One message may have spoilt it for all: each on its own.
      else for (const item of items) await this.#commit([item]).catch((cause: Error) => this.#fail(item, cause));
    }
  }

  #fail(item: Item, error: Error): void {
    this.counters.failed += 1;
    this.log.error({ deviceId: item.deviceId, kind: item.kind, err: error }, 'a message could not be committed');
    item.done();
  }

  async #commit(items: readonly Item[]): Promise<void> {
    await this.#write(items);
    this.counters.batches += 1;
    this.counters.stored += items.length;
    for (const item of items) this.#finish(item);
  }

  /** Another replica may change a device between the look at it and the write: then once more for that device. */
  async #write(items: readonly Item[]): Promise<void> {
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

/** What one transaction writes for these messages. `orders` follows them. */
function batchOf(items: readonly Item[], orders: Map<string, DeviceOrder>): IngestBatch {
  const rows = {
    ...{ reported: new Map<string, ReceivedRow>(), telemetry: new Map<string, ReceivedRow>() },
    ...{ events: new Map<string, ReceivedRow>(), replies: new Map<string, ReceivedRow>() },
  };
  const pictures = new Map<string, SnapshotRow>();
  const read = new Map(orders);
  const devices: IngestBatch['devices'] = new Map();
  for (const item of items) {
    const { deviceId, receivedAt } = item;
    if (item.kind === 'snapshots') pictures.set(`${deviceId}/${item.row.eventId}`, item.row);
    else if (item.kind === 'presence') takePresence(item, orders, changeOf(devices, read, deviceId));
    else {
      const { bootId, sequence, at } = item.message;
      const row = { deviceId, bootId, sequence, at: new Date(at), receivedAt, body: item.message };
      rows[item.kind].set(`${deviceId}/${bootId}/${sequence}`, row);
      if (item.kind === 'reported') takeReport(item, orders, changeOf(devices, read, deviceId));
    }
  }
  for (const [id, { history, reported }] of devices) {
    if (history === undefined && reported === undefined) devices.delete(id);
  }
  return {
    rows: {
      reports: [...rows.reported.values()],
      events: [...rows.events.values()],
      replies: [...rows.replies.values()],
    },
    telemetry: [...rows.telemetry.values()].map((row) => ({
      ...row,
      minute: new Date(Math.floor(row.receivedAt.getTime() / MINUTE) * MINUTE),
      part: rollupPart(row.body as Telemetry),
    })),
    snapshots: [...pictures.values()],
    devices,
  };
}

function changeOf(changes: Map<string, DeviceChange>, read: Map<string, DeviceOrder>, deviceId: string): DeviceChange {
  const was = read.get(deviceId);
  const change = changes.get(deviceId) ?? ({ was } as DeviceChange);
  if (was !== undefined) changes.set(deviceId, change);
  return change;
}

function takePresence(
  item: { deviceId: string; receivedAt: Date; message: Presence },
  orders: Map<string, DeviceOrder>,
  change: DeviceChange,
): void {
  const order = orders.get(item.deviceId);
  const next = order === undefined ? null : applyPresence(order, item.message);
  if (order === undefined || next === null) return;
  const { bootId, pastBoots, online } = next;
  orders.set(item.deviceId, { ...order, bootId, pastBoots, online });
  change.history = { bootId, pastBoots, online, at: item.receivedAt };
}

function takeReport(
  item: { deviceId: string; receivedAt: Date; message: Sequenced },
  orders: Map<string, DeviceOrder>,
  change: DeviceChange,
): void {
  const order = orders.get(item.deviceId);
  if (order === undefined || !acceptsReport(order, order.reported, item.message)) return;
  const { bootId, sequence } = item.message;
  const body = item.message as unknown as Reported;
  const state = reportState(body);
  orders.set(item.deviceId, { ...order, reported: { bootId, sequence } });
  const told = stateText(state) === change.was.state ? null : { ...state };
  change.reported = { body, receivedAt: item.receivedAt, told };
}

/** Escapes of NUL and of halves of surrogate pairs: JSON may hold them, PostgreSQL's jsonb may not. */
function isDoubtful(payload: Buffer): boolean {
  return payload.includes('\\u0000') || payload.includes('\\ud') || payload.includes('\\uD');
}
