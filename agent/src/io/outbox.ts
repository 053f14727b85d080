import { dirname, join } from 'node:path';
import type { Ack, MessageKind, MessageOf } from '@vigie/protocol';
import { decodeMessage } from '@vigie/protocol';
import type { Clock } from '../ports.js';
import type { Log } from '../update/ports.js';
import { writeFileAtomic } from './atomic-file.js';
import type { FileSystem, OpenFile } from './file-system.js';
import { nodeFileSystem } from './node-file-system.js';

/** Kinds that leave the board only when the server has acknowledged them. */
export type OutboxKind = Extract<MessageKind, 'events' | 'replies' | 'reported'>;

export interface OutboxOptions {
  directory: string;
  bootId: string;
  clock: Clock;
  log: Log;
  /** The machine's disk when absent. */
  files?: FileSystem;
  /** Sends one message now; a rejection only means that it is tried again. */
  send<K extends OutboxKind>(kind: K, message: MessageOf<K>): Promise<void>;
  connected(): boolean;
  /** All segments together, bytes; beyond it the oldest segment is dropped. */
  capBytes?: number;
  /** A new segment begins beyond this, bytes. */
  segmentBytes?: number;
  /** Without an acknowledgement by then a message is sent again, ms. */
  resendMs?: number;
  /** Messages sent and not acknowledged at the same time. */
  window?: number;
}

interface Item {
  key: string;
  kind: OutboxKind;
  message: MessageOf<OutboxKind>;
  segment: Segment;
  /** Monotonic ms of the last sending; null: not sent over this connection. */
  sentAt: number | null;
}

interface Segment {
  path: string;
  bytes: number;
  pending: number;
}

/** Messages kept in memory while the disk does not let the box be opened. */
const MAX_WAITING = 4096;

type Line = { kind: OutboxKind; message: MessageOf<OutboxKind> } | { ack: string };

/**
 * A size-capped journal of messages that must not be lost: JSON lines in segment files. A message is on the disk before
 * it is sent, and leaves when the server says that its database has it. Writing never blocks the caller.
 */
export class Outbox {
  private readonly pending = new Map<string, Item>();
  private segments: Segment[] = [];
  private current: OpenFile | null = null;
  private counter = 0;
  private waiting: { line: string; item: Item | null }[] = [];
  private writing: Promise<void> | null = null;
  private cancelTimer: (() => void) | null = null;
  private opened = false;
  private closed = false;
  /** Messages lost because the box was full, since the start. */
  dropped = 0;
  private readonly cap: number;
  private readonly segmentLimit: number;
  private readonly resendMs: number;
  private readonly window: number;
  private readonly files: FileSystem;

  constructor(private readonly options: OutboxOptions) {
    this.cap = options.capBytes ?? 8 * 1024 * 1024;
    this.segmentLimit = options.segmentBytes ?? Math.max(4096, Math.floor(this.cap / 16));
    this.resendMs = options.resendMs ?? 10_000;
    this.window = options.window ?? 64;
    this.files = options.files ?? nodeFileSystem;
  }

  get size(): number {
    return this.pending.size;
  }

  /**
   * Reads what earlier starts left and writes it anew into one segment. A torn last line (power cut) is dropped. May be called
   * again when the disk failed; what is put before it succeeds waits.
   */
  async open(): Promise<void> {
    const { directory, bootId } = this.options;
    await this.files.mkdir(directory, 0o700);
    await this.files.syncDirectory(dirname(directory));
    const names = (await this.files.list(directory))
      .map(({ name }) => name)
      .filter(isSegment)
      .sort();
    const kept = new Map<string, string>();
    const read: string[] = [];
    for (const name of names) {
      const content = await this.files.readFile(join(directory, name)).catch((error: Error) => {
        this.options.log.error({ name, err: error.message }, 'a segment of the outbox cannot be read; it stays');
        return null;
      });
      if (content === null) continue;
      read.push(name);
      for (const text of content.toString('utf8').split('\n')) {
        const line = parseLine(text);
        if (line === null) continue;
        if ('ack' in line) kept.delete(line.ack);
        // A report is a state: this start will tell the present one, and an old one must not come after it.
        else if (line.kind !== 'reported' || line.message.bootId === bootId) kept.set(keyOf(line.message), text);
      }
    }
    this.counter = Number(names.at(-1)?.slice(0, 8) ?? 0);
    if (kept.size > 0) {
      const segment = this.newSegment();
      const body = `${[...kept.values()].join('\n')}\n`;
      await writeFileAtomic(segment.path, body, 0o600, this.files);
      segment.bytes = Buffer.byteLength(body);
      for (const [key, text] of kept) {
        const line = parseLine(text) as { kind: OutboxKind; message: MessageOf<OutboxKind> };
        this.track({ key, kind: line.kind, message: line.message, segment, sentAt: null });
      }
    }
    this.opened = true;
    this.write();
    // What cannot be removed now is read once more by the next start, and sent once more: that does no harm.
    for (const name of read) await this.files.rm(join(directory, name)).catch(() => {});
  }

  /** Takes a message; it is sent as soon as it is on the disk. */
  put<K extends OutboxKind>(kind: K, message: MessageOf<K>): void {
    if (this.closed) return;
    const item = { key: keyOf(message), kind, message, sentAt: null } as unknown as Item;
    this.waiting.push({ line: JSON.stringify({ kind, message }), item });
    if (!this.opened && this.waiting.length > MAX_WAITING) {
      this.waiting.shift();
      this.dropped += 1;
    }
    this.write();
  }

  /** The server has exactly this message. Unknown ones are nothing. */
  acknowledge({ bootId, sequence }: Ack): void {
    const key = `${bootId}:${sequence}`;
    const item = this.pending.get(key);
    if (item === undefined || this.closed) return;
    this.pending.delete(key);
    item.segment.pending -= 1;
    this.waiting.push({ line: JSON.stringify({ ack: key }), item: null });
    this.write();
    this.flush();
  }

  /** A new connection: everything that is pending is sent again, in order. */
  reconnected(): void {
    for (const item of this.pending.values()) item.sentAt = null;
    this.flush();
  }

  /** Resolves when all that was put is on the disk. */
  async settled(): Promise<void> {
    while (this.writing !== null) await this.writing;
  }

  async close(): Promise<void> {
    await this.settled();
    this.closed = true;
    this.cancelTimer?.();
    await this.current?.close();
    this.current = null;
  }

  /** One write and one sync for all lines that came while the last ones were written. */
  private write(): void {
    if (this.writing !== null || !this.opened) return;
    this.writing = (async () => {
      while (this.waiting.length > 0) {
        const batch = this.waiting.splice(0);
        try {
          await this.append(batch);
        } catch (error) {
          this.options.log.error(
            { err: (error as Error).message },
            'the outbox cannot be written; messages go unjournaled',
          );
          // A line may stand there in part: what comes next must not be glued to it.
          await this.current?.close().catch(() => {});
          this.current = null;
          const segment = this.segments.at(-1) ?? this.newSegment();
          for (const { item } of batch) if (item !== null) this.track({ ...item, segment });
        }
        this.flush();
      }
    })().finally(() => {
      this.writing = null;
      if (this.waiting.length > 0) this.write();
    });
  }

  private async append(batch: readonly { line: string; item: Item | null }[]): Promise<void> {
    let segment = this.segments.at(-1);
    if (this.current === null || segment === undefined || segment.bytes >= this.segmentLimit) {
      await this.current?.close();
      segment = this.newSegment();
      this.current = await this.files.open(segment.path, 'a', 0o600);
      await this.files.syncDirectory(this.options.directory);
    }
    const text = `${batch.map(({ line }) => line).join('\n')}\n`;
    await this.current.appendFile(text);
    await this.current.datasync();
    segment.bytes += Buffer.byteLength(text);
    for (const { item } of batch) if (item !== null) this.track({ ...item, segment });
    await this.trim();
  }

  /** Only from the front, so that no acknowledgement goes before the message that it is for. */
  private async trim(): Promise<void> {
    const total = () => this.segments.reduce((sum, segment) => sum + segment.bytes, 0);
    while (this.segments.length > 1 && (this.segments[0].pending === 0 || total() > this.cap)) {
      const oldest = this.segments[0];
      for (const [key, item] of this.pending) {
        if (item.segment !== oldest) continue;
        this.pending.delete(key);
        this.dropped += 1;
      }
      if (oldest.pending > 0)
        this.options.log.warn({ messages: oldest.pending, dropped: this.dropped }, 'outbox full: oldest dropped');
      await this.files.rm(oldest.path);
      this.segments.shift();
    }
  }

  private newSegment(): Segment {
    this.counter += 1;
    const path = join(this.options.directory, `${String(this.counter).padStart(8, '0')}.jsonl`);
    const segment = { path, bytes: 0, pending: 0 };
    this.segments.push(segment);
    return segment;
  }

  private track(item: Item): void {
    this.pending.set(item.key, item);
    item.segment.pending += 1;
  }

  private flush(): void {
    const { clock, connected, send, log } = this.options;
    if (this.closed || !connected()) return;
    const now = clock.now();
    let inFlight = 0;
    for (const item of this.pending.values()) {
      if (inFlight >= this.window) break;
      inFlight += 1;
      if (item.sentAt !== null && now - item.sentAt < this.resendMs) continue;
      item.sentAt = now;
      send(item.kind, item.message).catch((error: Error) => {
        log.debug({ err: error.message, key: item.key }, 'not sent; tried again');
        item.sentAt = null;
      });
    }
    if (this.pending.size > 0 && this.cancelTimer === null) {
      this.cancelTimer = clock.after(this.resendMs, () => {
        this.cancelTimer = null;
        this.flush();
      });
    }
  }
}

function isSegment(name: string): boolean {
  return /^\d{8}\.jsonl$/.test(name);
}

function keyOf(message: { bootId: string; sequence: number }): string {
  return `${message.bootId}:${message.sequence}`;
}

function parseLine(text: string): Line | null {
  try {
    const value = JSON.parse(text) as { kind?: unknown; message?: unknown; ack?: unknown };
    if (typeof value.ack === 'string') return { ack: value.ack };
    const { kind, message } = value;
    if (kind !== 'events' && kind !== 'replies' && kind !== 'reported') return null;
    return decodeMessage(kind, Buffer.from(JSON.stringify(message))).ok ? (value as Line) : null;
  } catch {
    return null;
  }
}
