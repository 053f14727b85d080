import { chunkTopic } from '@vigie/protocol';
import type { Clock, Link } from '../../ports.js';
import { ByteWindow } from '../../update/byte-window.js';
import { fullJitterMs } from '../../update/full-jitter.js';
import { InstallError } from '../../update/install-error.js';
import type { ChunkTransport, FetchContext, WantedChunk } from './chunk-transport.js';
import { isChunk } from './verified-chunk.js';

export interface MqttChunkTransportOptions {
  link: Link;
  clock: Clock;
  /** 0..1. */
  random: () => number;
  /** Silence of the line after which what is under way is asked for again, ms. */
  quietMs?: number;
  /** Times of silence before the chunks count as missing, and wrong bytes of one chunk before it counts as corrupt. */
  attempts?: number;
}

interface Flight {
  chunk: WantedChunk;
  askedAt: number;
  /** How often it came with other bytes. */
  corrupt: number;
  listener(payload: Uint8Array): void;
  unsubscribe: Promise<() => Promise<void>>;
}

/** Fewer bytes than this between two looks may be anything (acknowledgements, a keep-alive) and are no sign of a chunk. */
const SIGN_OF_LIFE_BYTES = 1024;
/** Silence of so many patiences without one whole chunk ends a download that only trickles. */
const TRICKLE = 6;

/** Chunks as retained messages, each of its own topic. The link asks again by itself after a reconnect, and after a refusal. */
export class MqttChunkTransport implements ChunkTransport {
  readonly name = 'mqtt';

  constructor(private readonly options: MqttChunkTransportOptions) {}

  async fetch(wanted: readonly WantedChunk[], context: FetchContext, patient: boolean): Promise<void> {
    await new MqttFetch(this.options, wanted, context, patient).run();
  }
}

class MqttFetch {
  private readonly flights = new Map<string, Flight>();
  private readonly window = new ByteWindow();
  private readonly landings = new Set<Promise<void>>();
  private readonly quietMs: number;
  private readonly attempts: number;
  /** Of chunks that were asked for and are not on the disk yet. */
  private bytesUnderWay = 0;
  private next = 0;
  private failure: { error: unknown } | null = null;
  private wakeUp = () => {};
  private strikes = 0;
  private signOfLifeAt: number;
  private landedAt: number;
  private receivedBytes: number;
  private unexplainedBytes = 0;
  private wasConnected: boolean;

  constructor(
    private readonly options: MqttChunkTransportOptions,
    private readonly wanted: readonly WantedChunk[],
    private readonly context: FetchContext,
    private readonly patient: boolean,
  ) {
    const { link, clock } = options;
    this.quietMs = options.quietMs ?? 20_000;
    this.attempts = options.attempts ?? 3;
    this.signOfLifeAt = clock.now();
    this.landedAt = this.signOfLifeAt;
    this.receivedBytes = link.receivedBytes ?? 0;
    this.wasConnected = link.connected;
  }

  async run(): Promise<void> {
    const { signal } = this.context;
    const stop = (): void => this.fail(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
    try {
      signal.throwIfAborted();
      for (;;) {
        this.look();
        if (this.failure !== null) throw this.failure.error;
        if (this.next === this.wanted.length && this.flights.size === 0 && this.landings.size === 0) return;
        await this.ask();
        if (this.failure === null) await this.nextEvent();
      }
    } finally {
      signal.removeEventListener('abort', stop);
      for (const flight of [...this.flights.values()]) this.forget(flight);
      await Promise.all(this.landings);
      this.countReceived();
    }
  }

  private async ask(): Promise<void> {
    const { meter, signal } = this.context;
    if (!this.window.low(this.bytesUnderWay, this.flights.size)) return;
    while (this.next < this.wanted.length && this.failure === null) {
      const chunk = this.wanted[this.next];
      if (!this.window.fits(chunk.length, this.bytesUnderWay, this.flights.size)) return;
      await meter.reserve(this.flyingBytes() + chunk.length);
      await meter.pace(chunk.length, signal);
      this.next += 1;
      this.send(chunk);
    }
  }

  private send(chunk: WantedChunk): void {
    const listener = (payload: Uint8Array): void => this.take(flight, payload);
    const unsubscribe = this.options.link.subscribe(chunkTopic(chunk.sha256), listener);
    const flight: Flight = { chunk, askedAt: this.options.clock.now(), corrupt: 0, listener, unsubscribe };
    if (this.flights.size === 0) this.signOfLifeAt = this.landedAt = flight.askedAt;
    this.flights.set(chunk.sha256, flight);
    this.bytesUnderWay += chunk.length;
  }

  private take(flight: Flight, payload: Uint8Array): void {
    const { chunk } = flight;
    // An empty payload is how a retained message is cleared.
    if (payload.byteLength === 0 || this.flights.get(chunk.sha256) !== flight) return;
    const { link, clock } = this.options;
    if (link.receivedBytes === undefined) this.context.meter.count(payload.byteLength);
    this.signOfLifeAt = clock.now();
    if (payload.byteLength > chunk.length) {
      const message = `chunk ${chunk.sha256} came with ${payload.byteLength} bytes, the publisher signed ${chunk.length}`;
      this.fail(new InstallError('CHUNK_TOO_LARGE', message));
      return;
    }
    const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
    if (!isChunk(chunk, bytes)) {
      this.corrupt(flight);
      return;
    }
    this.strikes = 0;
    this.landedAt = clock.now();
    this.window.answered(chunk.length, this.landedAt - flight.askedAt);
    this.forget(flight);
    this.land(chunk, bytes);
  }

  private land(chunk: WantedChunk, bytes: Buffer): void {
    const landing = this.context
      .onChunk(chunk.sha256, bytes)
      .catch((error: unknown) => this.fail(error))
      .finally(() => {
        this.landings.delete(landing);
        this.bytesUnderWay -= chunk.length;
        this.wakeUp();
      });
    this.landings.add(landing);
  }

  private corrupt(flight: Flight): void {
    const { chunk } = flight;
    flight.corrupt += 1;
    if (flight.corrupt > this.attempts) {
      const message = `chunk ${chunk.sha256} came with other bytes ${flight.corrupt} times`;
      this.fail(new InstallError('CHUNK_CORRUPT', message));
      return;
    }
    const { clock, random } = this.options;
    clock.after(fullJitterMs(flight.corrupt, { first: 50, longest: 5000 }, random()), () => this.askAgain(flight));
  }

  private askAgain(flight: Flight): void {
    if (this.flights.get(flight.chunk.sha256) !== flight) return;
    flight.askedAt = this.options.clock.now();
    // The same listener once more: nothing is delivered twice, and the broker sends the retained message again.
    void this.options.link.subscribe(chunkTopic(flight.chunk.sha256), flight.listener);
  }

  /** Takes a chunk off the list of those that are under way. */
  private forget(flight: Flight): void {
    this.flights.delete(flight.chunk.sha256);
    void flight.unsubscribe.then((off) => off());
  }

  private fail(error: unknown): void {
    this.failure ??= { error };
    this.wakeUp();
  }

  /** A chunk, a failure, or a moment later. */
  private nextEvent(): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.options.clock.after(Math.min(100, this.quietMs / 4), () => this.wakeUp());
      this.wakeUp = () => {
        cancel();
        this.wakeUp = () => {};
        resolve();
      };
    });
  }

  private countReceived(): void {
    const { receivedBytes } = this.options.link;
    if (receivedBytes === undefined) return;
    const came = receivedBytes - this.receivedBytes;
    this.receivedBytes = receivedBytes;
    this.unexplainedBytes += came;
    this.context.meter.count(came);
  }

  /** Looks at the line: budget, breaks, silence. */
  private look(): void {
    const { link, clock } = this.options;
    const now = clock.now();
    this.countReceived();
    if (this.unexplainedBytes >= SIGN_OF_LIFE_BYTES) {
      this.unexplainedBytes = 0;
      this.signOfLifeAt = now;
    }
    if (!link.connected) {
      if (this.wasConnected) this.broken();
      this.wasConnected = false;
      if (this.patient) this.signOfLifeAt = this.landedAt = now;
      else if (now - this.signOfLifeAt > this.quietMs)
        this.fail(new InstallError('CHUNK_MISSING', `no connection to the broker for ${this.quietMs} ms`));
      return;
    }
    if (!this.wasConnected) {
      this.wasConnected = true;
      this.signOfLifeAt = now;
    }
    if (this.flights.size > 0) this.lookForSilence(now);
  }

  /** What had come half will be sent again as soon as there is a connection: it must still fit into the budget. */
  private broken(): void {
    this.window.broken();
    try {
      this.context.meter.check(this.flyingBytes());
    } catch (error) {
      this.fail(error);
    }
  }

  /** Bytes that were asked for and have not come. */
  private flyingBytes(): number {
    let bytes = 0;
    for (const { chunk } of this.flights.values()) bytes += chunk.length;
    return bytes;
  }

  private lookForSilence(now: number): void {
    const trickles = now - this.landedAt > TRICKLE * this.quietMs;
    if (now - this.signOfLifeAt <= this.quietMs && !trickles) return;
    this.strikes += 1;
    const [first] = this.flights.values();
    if (this.strikes >= this.attempts || trickles) {
      const message = `chunk ${first.chunk.sha256} and ${this.flights.size - 1} others did not come in ${this.strikes} attempts`;
      this.fail(new InstallError('CHUNK_MISSING', message));
      return;
    }
    this.signOfLifeAt = now;
    for (const flight of this.flights.values()) this.askAgain(flight);
  }
}
