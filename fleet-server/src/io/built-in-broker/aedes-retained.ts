import { Readable } from 'node:stream';
import { FairTurns } from './fair-turns.js';
import { TopicFilter } from './topic-filter.js';

/** Answers from this size on wait for their turn: chunks, not metadata and desired states. */
const LARGE_BYTES = 4096;
/** What one turn of the event loop sends of them: some milliseconds of TLS. Requests of people come in between. */
const BYTES_PER_TURN = 256 * 1024;

/** A retained packet as aedes keeps it. */
interface RetainedPacket {
  topic: string;
  payload: Buffer | string;
}

/** The part of aedes' persistence that keeps retained messages. */
interface RetainedStore {
  storeRetained(packet: RetainedPacket): Promise<void>;
  createRetainedStreamCombi(filters: string[]): Readable;
  createRetainedStream(filter: string): Readable;
}

/**
 * Retained messages by topic. aedes' own store compares each filter of each SUBSCRIBE with every message that it keeps; boards
 * name exact topics, one after the other while they fetch a release, and a fleet keeps three messages for each board: with ten
 * thousand of them that alone would take hours. Here an exact topic is one look into a map.
 */
export class RetainedMessages implements RetainedStore {
  readonly #packets = new Map<string, RetainedPacket>();
  readonly #turns = new FairTurns(BYTES_PER_TURN);

  /** Puts this store in the place of the one that `aedes` was started with. */
  static install(aedes: object): RetainedMessages {
    const retained = new RetainedMessages();
    const { persistence } = aedes as { persistence?: RetainedStore };
    if (persistence === undefined) throw new Error('aedes has no persistence before listen()');
    persistence.storeRetained = (packet) => retained.storeRetained(packet);
    persistence.createRetainedStream = (filter) => retained.createRetainedStream(filter);
    persistence.createRetainedStreamCombi = (filters) => retained.createRetainedStreamCombi(filters);
    return retained;
  }

  get size(): number {
    return this.#packets.size;
  }

  /** An empty payload takes the message away (MQTT 3.1.1, 3.3.1.3). */
  async storeRetained(packet: RetainedPacket): Promise<void> {
    if (packet.payload.length === 0) this.#packets.delete(packet.topic);
    else this.#packets.set(packet.topic, { ...packet, payload: owned(packet.payload) });
  }

  createRetainedStream(filter: string): Readable {
    return this.createRetainedStreamCombi([filter]);
  }

  createRetainedStreamCombi(filters: readonly string[]): Readable {
    const packets = filters.flatMap((filter) => [...this.matching(filter)]);
    const bytes = packets.reduce((sum, { payload }) => sum + payload.length, 0);
    if (bytes < LARGE_BYTES) return Readable.from(packets);
    return Readable.from(this.#inTurn(packets, bytes));
  }

  async *#inTurn(packets: readonly RetainedPacket[], bytes: number): AsyncGenerator<RetainedPacket> {
    await this.#turns.take(bytes);
    yield* packets;
  }

  /** Messages whose topic matches a filter (MQTT 3.1.1, 4.7). */
  *matching(filter: string): Generator<RetainedPacket> {
    if (TopicFilter.isExact(filter)) {
      const packet = this.#packets.get(filter);
      if (packet !== undefined) yield packet;
      return;
    }
    const wanted = new TopicFilter(filter);
    for (const [topic, packet] of this.#packets) if (wanted.matches(topic)) yield packet;
  }
}

/** A payload is often some hundred bytes of a block of 64 KiB that came from a socket: the block would stay in memory with it. */
function owned(payload: Buffer | string): Buffer {
  const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload;
  if (bytes.buffer.byteLength <= 2 * bytes.length) return bytes;
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  bytes.copy(copy);
  return copy;
}
