import { DELIVERY, parseTopic, ROOT } from '@vigie/protocol';
import { connect, type IClientOptions, type MqttClient } from 'mqtt';
import type { Logger } from 'pino';
import type { Broker, MessageHandler, PublishOptions } from '../ports.js';
import { receiveInBatches } from './mqtt-receiver.js';

/** Key, certificate and the authority that signed the broker's, PEM. */
export interface BrokerClientCredentials {
  ca: string;
  cert: string;
  key: string;
}

export interface MqttBrokerClientOptions {
  /** `mqtts://host:port`, or `mqtt://` on loopback: nodes of one cluster, tried in turn. At least one. */
  urls: readonly string[];
  /** Each of the server's connections begins with it; several servers on one broker need one each. */
  clientId: string;
  /** Null: without TLS. */
  credentials: BrokerClientCredentials | null;
  onMessage: MessageHandler;
  /**
   * The connection that hears of boards' presence is a new one: what was known of who is online no longer holds. Comes before
   * the subscription, by which the broker tells it anew.
   */
  onConnect(): Promise<void>;
  /** The broker may have forgotten everything, or be older than we are: publish all retained state again. */
  republish(): Promise<void>;
  log: Logger;
}

/**
 * What boards publish, by connection, so that a flood of one kind does not hold another. One that waits for the database may
 * stop reading, also acknowledgements of what we publish: so publishing has a connection of its own.
 */
const RECEIVERS = {
  state: ['reported', 'presence'],
  events: ['events', 'replies'],
  telemetry: ['telemetry'],
  snapshots: ['snapshots'],
} as const;
/** The receiver that hears who is online. */
const PRESENCE: keyof typeof RECEIVERS = 'state';
/** Published and not yet acknowledged by the broker at the same time. */
const WINDOW = 256;
const RECONNECT_MS = 1000;
/** A refused subscription is asked for again, ms. */
const RESUBSCRIBE_MS = 2000;
/** The broker has ended a session that was taken over by then, ms. */
const TAKEOVER_MS = 5000;
const TAKEOVERS_MS = [5000, 30_000];

interface Outgoing {
  topic: string;
  payload: Buffer;
  options: PublishOptions;
}

/**
 * An external MQTT 3.1.1 broker (Mosquitto, EMQX, …), seen from the server. A message of a board is acknowledged to the broker
 * only after it was committed; the receiving sessions outlive a connection, so what was not acknowledged comes again. What
 * is published without a connection is dropped: retained state is published again with the next one, and acknowledgements
 * follow when boards send again. The broker's access rules say which board may publish where; its id is that of the topic.
 */
export class MqttBrokerClient implements Broker {
  readonly #options: MqttBrokerClientOptions;
  readonly #publisher: MqttClient;
  readonly #receivers: MqttClient[];
  readonly #takeovers = new Set<MqttClient>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #queue: Outgoing[] = [];
  #inFlight = 0;
  #closed = false;
  #connected = false;

  private constructor(options: MqttBrokerClientOptions) {
    this.#options = options;
    this.#publisher = this.#open('publish', true);
    this.#receivers = Object.entries(RECEIVERS).map(([name, kinds]) => this.#openReceiver(name, kinds));
    this.#publisher.on('connect', () => void this.#greet());
    this.#publisher.on('close', () => {
      if (this.#connected) options.log.warn({ urls: options.urls }, 'no connection to the broker; tried again');
      this.#connected = false;
      this.#queue = [];
    });
  }

  /** Begins to connect and never gives up. Resolves at once: the API works without the broker. */
  static start(options: MqttBrokerClientOptions): MqttBrokerClient {
    return new MqttBrokerClient(options);
  }

  /** Connected, and all retained state was handed over. */
  get connected(): boolean {
    return this.#connected;
  }

  /** Only our own: who else is connected, the broker knows. */
  get connections(): number {
    return [this.#publisher, ...this.#receivers].filter((client) => client.connected).length;
  }

  publish(topic: string, payload: Buffer, options: PublishOptions): void {
    if (!this.#publisher.connected) return;
    this.#queue.push({ topic, payload, options });
    this.#pump();
  }

  /**
   * Ends the live session of a device by taking its client id over for a moment (MQTT 3.1.1, 3.1.4-2), now and again after
   * `TAKEOVERS_MS`: that it cannot come back is up to the broker's revocation list, which somebody has to let it read again.
   */
  disconnect(deviceId: string): void {
    this.#takeOver(deviceId);
    for (const wait of TAKEOVERS_MS) this.#later(wait, () => this.#takeOver(deviceId));
  }

  /** New connections use these from now on. */
  setCredentials(credentials: BrokerClientCredentials): void {
    for (const client of [this.#publisher, ...this.#receivers]) Object.assign(client.options, credentials);
    Object.assign(this.#options, { credentials });
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const timer of this.#timers) clearTimeout(timer);
    const clients = [this.#publisher, ...this.#receivers, ...this.#takeovers];
    await Promise.all(clients.map((client) => client.endAsync(!client.connected).catch(() => client.end(true))));
  }

  #takeOver(deviceId: string): void {
    // By the node that we are on: the others may be gone.
    const { host, port, protocol } = this.#publisher.options;
    const taker = connect({
      ...this.#clientOptions(deviceId, true),
      ...{ host, port, protocol },
      reconnectPeriod: 0,
      connectTimeout: TAKEOVER_MS,
    });
    this.#takeovers.add(taker);
    const end = (): void => {
      this.#takeovers.delete(taker);
      taker.end(true);
    };
    // The will of the session that ended so says offline; a presence of our own would be somebody else's word.
    taker.once('connect', () => taker.end(false, {}, end));
    taker.once('close', end);
    taker.on('error', (error) => {
      this.#options.log.warn({ deviceId, err: error.message }, 'the live session could not be ended');
      end();
    });
  }

  #later(ms: number, action: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      action();
    }, ms);
    this.#timers.add(timer);
  }

  #clientOptions(clientId: string, clean: boolean): IClientOptions {
    const { credentials } = this.#options;
    return {
      protocolVersion: 4,
      clientId,
      clean,
      keepalive: 30,
      connectTimeout: 15_000,
      reconnectPeriod: RECONNECT_MS,
      reconnectOnConnackError: true,
      resubscribe: false,
      queueQoSZero: false,
      ...(credentials === null ? {} : { ...credentials, rejectUnauthorized: true }),
    };
  }

  #open(name: string, clean: boolean): MqttClient {
    const { urls, clientId, log } = this.#options;
    const servers = urls.map(serverOf);
    const { protocol } = servers[0];
    const client = connect({ ...this.#clientOptions(`${clientId}-${name}`, clean), protocol, servers });
    // mqtt.js keeps the first node's name: the next one's certificate would be checked against that.
    client.on('close', () => Reflect.deleteProperty(client.options, 'servername'));
    client.on('error', (error) => log.warn({ connection: name, err: error.message }, 'broker connection'));
    return client;
  }

  #openReceiver(name: string, kinds: readonly (keyof typeof DELIVERY)[]): MqttClient {
    const client = this.#open(name, false);
    const topics = Object.fromEntries(
      kinds.map((kind) => [
        `${ROOT}/devices/+/${kind}${kind === 'snapshots' ? '/+' : ''}`,
        { qos: DELIVERY[kind].qos },
      ]),
    );
    // Not acknowledged: the broker sends it again on the next connection.
    const onFailure = (topic: string, error: Error): void => {
      this.#options.log.error({ topic, err: error.message }, 'a message could not be stored');
      if (!this.#closed) client.reconnect();
    };
    receiveInBatches(client, (topic, payload) => this.#receive(topic, payload), onFailure);
    const subscribe = (): void => {
      if (this.#closed || !client.connected) return;
      client.subscribe(topics, (error, granted) => {
        if (this.#closed || !client.connected) return;
        if (error === null && granted?.every(({ qos }) => qos < 128)) return;
        this.#options.log.warn({ connection: name }, 'the broker refused a subscription; asked again');
        this.#later(RESUBSCRIBE_MS, subscribe);
      });
    };
    // Also of a session that is still there: the retained state of every board comes again.
    client.on('connect', () => {
      if (name !== PRESENCE) return subscribe();
      this.#options.onConnect().then(subscribe, (error: Error) => {
        this.#options.log.error({ err: error }, 'who is online could not be asked; connecting again');
        if (!this.#closed) client.reconnect();
      });
    });
    return client;
  }

  async #receive(topic: string, payload: Buffer | string): Promise<void> {
    const parsed = parseTopic(topic);
    if (parsed === null || !('deviceId' in parsed)) return;
    const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload;
    // A retained message that was taken away.
    if (bytes.length === 0) return;
    await this.#options.onMessage(parsed.deviceId, topic, bytes);
  }

  async #greet(): Promise<void> {
    const { republish, log } = this.#options;
    const { host, port } = this.#publisher.options;
    try {
      await republish();
      this.#connected = this.#publisher.connected;
      log.info({ host, port }, 'connected to the broker; retained state published');
    } catch (error) {
      log.error({ err: error }, 'retained state could not be published; connecting again');
      if (!this.#closed) this.#publisher.reconnect();
    }
  }

  #pump(): void {
    while (this.#inFlight < WINDOW && this.#publisher.connected) {
      const next = this.#queue.shift();
      if (next === undefined) return;
      this.#inFlight += 1;
      this.#publisher.publish(next.topic, next.payload, next.options, (error) => {
        this.#inFlight -= 1;
        if (error && !this.#closed) this.#options.log.debug({ topic: next.topic, err: error.message }, 'not published');
        this.#pump();
      });
    }
  }
}

/** As mqtt.js wants a node of a cluster. */
function serverOf(url: string): { protocol: 'mqtt' | 'mqtts'; host: string; port: number } {
  const { protocol, hostname, port } = new URL(url);
  const tls = protocol === 'mqtts:';
  const host = hostname.replace(/^\[|\]$/g, '');
  return { protocol: tls ? 'mqtts' : 'mqtt', host, port: port === '' ? (tls ? 8883 : 1883) : Number(port) };
}
