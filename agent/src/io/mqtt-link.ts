import { randomInt } from 'node:crypto';
import type { Socket } from 'node:net';
import {
  DELIVERY,
  deviceTopic,
  encodeMessage,
  MAX_MESSAGE_BYTES,
  type MessageKind,
  type MessageOf,
} from '@vigie/protocol';
import { connect, type MqttClient } from 'mqtt';
import type { Clock, Link } from '../ports.js';
import type { Log } from '../update/ports.js';
import type { TlsCredentials } from './fleet-https.js';

export interface MqttLinkOptions {
  /** `mqtts://`; a broker without TLS takes no board of a real fleet. */
  url: string;
  deviceId: string;
  /** What is shown and believed in TLS, asked before each attempt: a renewed certificate is used at the next one. */
  credentials?: () => TlsCredentials;
  bootId: string;
  /** Absent: the birth is said once for each connection. */
  clock?: Clock;
  log: Log;
  /** Shortest and longest wait before the next attempt to connect or to subscribe after a refusal, ms. */
  backoffMs?: { first: number; longest: number };
}

/** How often the birth is said again, ms. */
const BIRTH_EVERY_MS = 60_000;

/** A publish while the broker cannot be reached; higher layers keep what must not be lost. */
export class LinkDownError extends Error {
  override readonly name = 'LinkDownError';
  readonly code = 'LINK_DOWN';
}

interface Listener {
  take(payload: Uint8Array): void;
  tooLarge?(bytes: number): void;
}

/**
 * The board's one connection, by MQTT 3.1.1 with a clean session: birth and last will on the presence topic,
 * exact-topic subscriptions that are made again after every reconnect. Calls of one turn of the event loop share one
 * packet, because a broker may go through all its retained messages once per SUBSCRIBE.
 */
export class MqttLink implements Link {
  private client: MqttClient | null = null;
  private readonly listeners = new Map<string, Set<Listener>>();
  private readonly connectListeners = new Set<() => void>();
  private readonly toSubscribe = new Set<string>();
  private readonly toUnsubscribe = new Set<string>();
  private readonly timers = new Set<NodeJS.Timeout>();
  private flushing = false;
  private cancelBirth = () => {};
  private attempts = 0;
  private refusals = 0;
  private stream: Partial<Socket> | null = null;
  /** Bytes of connections before `stream`. */
  private earlierBytes = 0;
  private readonly backoff: { first: number; longest: number };

  constructor(private readonly options: MqttLinkOptions) {
    this.backoff = options.backoffMs ?? { first: 500, longest: 30_000 };
  }

  get connected(): boolean {
    return this.client?.connected === true;
  }

  get receivedBytes(): number {
    return this.earlierBytes + bytesOf(this.stream);
  }

  /** Begins to connect and never gives up; returns at once. */
  start(): void {
    const { deviceId, bootId, log } = this.options;
    const presence = deviceTopic(deviceId, 'presence');
    const { qos, retain } = DELIVERY.presence;
    const client = connect(this.options.url, {
      protocolVersion: 4,
      clientId: deviceId,
      ...this.tls(),
      clean: true,
      keepalive: 30,
      connectTimeout: 15_000,
      reconnectPeriod: this.wait(0),
      reconnectOnConnackError: true,
      // We make subscriptions anew ourselves: a refused one must be asked for again too.
      resubscribe: false,
      queueQoSZero: false,
      will: { topic: presence, payload: encodeMessage('presence', { bootId, online: false }), qos, retain },
    });
    this.client = client;
    client.on('connect', () => {
      // A subscription sent right after an acknowledgement would wait for the peer's delayed ACK: 40 ms each time.
      (client.stream as Partial<Socket>).setNoDelay?.(true);
      this.earlierBytes += bytesOf(this.stream);
      this.stream = client.stream as Partial<Socket>;
      this.attempts = 0;
      this.refusals = 0;
      client.options.reconnectPeriod = this.wait(0);
      log.info({ url: withoutSecrets(this.options.url) }, 'connected to the broker');
      this.toUnsubscribe.clear();
      for (const topic of this.listeners.keys()) this.toSubscribe.add(topic);
      this.flush();
      this.announce();
      this.announceAgain();
      for (const listener of this.connectListeners) listener();
    });
    client.on('close', () => {
      // mqtt.js has armed the timer of this attempt already: this is the wait before the one after.
      this.attempts += 1;
      client.options.reconnectPeriod = this.wait(this.attempts);
      Object.assign(client.options, this.tls());
      if (this.attempts === 1) log.warn({}, 'no connection to the broker; the board goes on and tries again');
    });
    client.on('error', (error) => log.warn({ err: error.message }, 'broker connection'));
    client.on('message', (topic, payload) => this.deliver(topic, payload));
  }

  /** Calls back at every new connection. */
  onConnect(listener: () => void): void {
    this.connectListeners.add(listener);
  }

  async publish<K extends MessageKind>(kind: K, topic: string, message: MessageOf<K>): Promise<void> {
    await this.publishBytes(topic, encodeMessage(kind, message), DELIVERY[kind]);
  }

  /** Resolves when the broker has it (QoS 1). Throws LinkDownError without a connection, RangeError when too large. */
  async publishBytes(topic: string, bytes: Uint8Array, options: { qos: 0 | 1; retain: boolean }): Promise<void> {
    if (bytes.byteLength > MAX_MESSAGE_BYTES)
      throw new RangeError(`${topic}: ${bytes.byteLength} bytes exceed ${MAX_MESSAGE_BYTES}`);
    const { client } = this;
    if (client === null || !client.connected) throw new LinkDownError('no connection to the broker');
    const payload = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    await client.publishAsync(topic, payload, { qos: options.qos, retain: options.retain });
  }

  /** Registers the listener at once; the subscription is made as soon as there is a connection, and after each reconnect. */
  async subscribe(
    topic: string,
    take: (payload: Uint8Array) => void,
    tooLarge?: (bytes: number) => void,
  ): Promise<() => Promise<void>> {
    const listener: Listener = { take, tooLarge };
    const present = this.listeners.get(topic);
    if (present === undefined) this.listeners.set(topic, new Set([listener]));
    else present.add(listener);
    // Asked again for a second listener too: the broker then sends the retained message again.
    this.toUnsubscribe.delete(topic);
    this.toSubscribe.add(topic);
    this.flushSoon();
    return async () => {
      const current = this.listeners.get(topic);
      if (current === undefined || !current.delete(listener) || current.size > 0) return;
      this.listeners.delete(topic);
      this.toSubscribe.delete(topic);
      this.toUnsubscribe.add(topic);
      this.flushSoon();
    };
  }

  /** Says good-bye (the will stays for a crash) and disconnects. */
  async stop(): Promise<void> {
    const { client } = this;
    this.cancelBirth();
    for (const timer of this.timers) clearTimeout(timer);
    this.timers.clear();
    if (client === null) return;
    if (client.connected) {
      const { deviceId, bootId } = this.options;
      const farewell = this.publish('presence', deviceTopic(deviceId, 'presence'), {
        bootId,
        online: false,
        at: new Date().toISOString(),
      });
      await Promise.race([farewell.catch(() => {}), new Promise((resolve) => setTimeout(resolve, 1000).unref())]);
    }
    this.client = null;
    // A line that stands still would keep the good-bye for ever.
    await new Promise<void>((resolve) => {
      const late = setTimeout(() => {
        client.stream.destroy();
        resolve();
      }, 2000);
      client.end(!client.connected, () => {
        clearTimeout(late);
        resolve();
      });
    });
  }

  private deliver(topic: string, payload: Buffer): void {
    if (payload.length > MAX_MESSAGE_BYTES) {
      this.options.log.warn({ topic, bytes: payload.length }, 'message over the limit ignored');
      for (const listener of [...(this.listeners.get(topic) ?? [])]) listener.tooLarge?.(payload.length);
      return;
    }
    for (const listener of [...(this.listeners.get(topic) ?? [])]) {
      try {
        listener.take(payload);
      } catch (error) {
        this.options.log.error({ topic, err: (error as Error).message }, 'a listener failed');
      }
    }
  }

  private announce(): void {
    const { deviceId, bootId } = this.options;
    const birth = { bootId, online: true, at: new Date().toISOString() };
    this.publish('presence', deviceTopic(deviceId, 'presence'), birth).catch(() => {});
  }

  /** The will of an earlier connection may come after the birth on this one, or the broker lose it: it is said again. */
  private announceAgain(): void {
    this.cancelBirth();
    const again = () => {
      if (this.connected) this.announce();
      this.announceAgain();
    };
    this.cancelBirth = this.options.clock?.after(BIRTH_EVERY_MS, again) ?? this.cancelBirth;
  }

  private flushSoon(): void {
    if (this.flushing) return;
    this.flushing = true;
    setImmediate(() => {
      this.flushing = false;
      this.flush();
    });
  }

  private flush(): void {
    const { client } = this;
    if (client === null || !client.connected) return;
    const gone = [...this.toUnsubscribe];
    const wanted = [...this.toSubscribe];
    this.toUnsubscribe.clear();
    this.toSubscribe.clear();
    if (gone.length > 0) client.unsubscribe(gone, () => {});
    if (wanted.length === 0) return;
    client.subscribe(wanted, { qos: SUBSCRIPTION_QOS }, (_error, _granted, packet) => {
      // Without an answer the connection broke: the next one subscribes to everything anyway.
      const codes = packet?.granted as number[] | undefined;
      if (codes === undefined) return;
      const refused = wanted.filter((topic, i) => codes[i] >= 128 && this.listeners.has(topic));
      if (refused.length === 0) {
        this.refusals = 0;
        return;
      }
      const waitMs = this.wait(this.refusals);
      this.refusals += 1;
      this.options.log.warn({ topics: refused, waitMs }, 'the broker refused subscriptions; asked again later');
      const timer = setTimeout(() => {
        this.timers.delete(timer);
        for (const topic of refused) if (this.listeners.has(topic)) this.toSubscribe.add(topic);
        this.flush();
      }, waitMs);
      this.timers.add(timer);
    });
  }

  private tls(): { cert?: string; key?: string; ca?: string[]; minVersion?: 'TLSv1.2' } {
    const { url, credentials } = this.options;
    if (credentials === undefined || !url.startsWith('mqtts:')) return {};
    const { certificate, privateKey, authorities } = credentials();
    return { cert: certificate, key: privateKey, ca: [...authorities], minVersion: 'TLSv1.2' };
  }

  /** Doubles with each attempt up to the longest, and is spread so that a fleet does not come back all at once. */
  private wait(attempt: number): number {
    const { first, longest } = this.backoff;
    const full = Math.min(longest, first * 2 ** Math.min(attempt, 16));
    return Math.round(full / 2) + randomInt(Math.max(1, Math.round(full / 2)));
  }
}

/**
 * Everything is asked for by QoS 0. With a clean session QoS 1 would add nothing over one TCP connection: on the next one it
 * is not sent again either, and what may be lost is repeated by the server (retained state, commands) or asked for again by
 * the outbox. Brokers pay for QoS 1: in a NATS cluster each such subscription is a replicated consumer with elections of its own.
 */
const SUBSCRIPTION_QOS = 0;

function bytesOf(stream: Partial<Socket> | null): number {
  return stream?.bytesRead ?? 0;
}

function withoutSecrets(url: string): string {
  try {
    const parsed = new URL(url);
    return `${parsed.protocol}//${parsed.host}`;
  } catch {
    return 'broker';
  }
}
