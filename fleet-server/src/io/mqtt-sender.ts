import mqtt, { type IClientOptions, type MqttClient } from 'mqtt';
import type { ChannelSecrets, ChannelSettings, OutgoingDelivery, SendResult } from '../services/channel.js';
import type { TargetGuard } from './target-guard.js';
import { describeFault } from './webhook-sender.js';

type MqttSettings = ChannelSettings & { type: 'mqtt' };

interface Connection {
  /** What it was made from: a channel that was changed gets a new one. */
  key: string;
  client: MqttClient;
}

/**
 * Publishes to brokers of operators, each channel over a connection of its own that has nothing to do with the fleet's
 * broker. QoS 1 counts as delivered when the broker has acknowledged it.
 */
export class MqttSender {
  readonly #connections = new Map<string, Connection>();

  constructor(
    private readonly guard: TargetGuard,
    private readonly timeoutMs: number,
    private readonly clientId: string,
  ) {}

  /** `channel`: whose connection is taken. */
  async send(
    channel: string,
    settings: MqttSettings,
    secrets: ChannelSecrets,
    delivery: OutgoingDelivery,
  ): Promise<SendResult> {
    try {
      const client = await this.#client(channel, settings, secrets);
      const { qos, retain } = settings;
      await withTimeout(
        client.publishAsync(settings.topic, JSON.stringify({ id: delivery.id, ...delivery.body }), { qos, retain }),
        this.timeoutMs,
      );
      return { ok: true, status: null };
    } catch (error) {
      await this.#drop(channel);
      const { code } = error as { code?: unknown };
      // CONNACK return codes (MQTT 3.1.1, 3.2.2.3): 4 bad user name or password, 5 not authorised.
      if (typeof code === 'number')
        return {
          ok: false,
          code: 'TARGET_REFUSED',
          status: code,
          error: `the broker refused: ${(error as Error).message}`,
        };
      return { ok: false, status: null, ...describeFault(error as NodeJS.ErrnoException, this.timeoutMs) };
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#connections.keys()].map((channel) => this.#drop(channel)));
  }

  async #client(channel: string, settings: MqttSettings, { password }: ChannelSecrets): Promise<MqttClient> {
    const { url, username, authority } = settings;
    const key = JSON.stringify([url, username, password, authority]);
    const present = this.#connections.get(channel);
    if (present?.key === key && present.client.connected) return present.client;
    await this.#drop(channel);
    const { protocol, hostname, port } = new URL(url);
    const address = await this.guard.admit(hostname);
    const secure = protocol === 'mqtts:';
    const options: IClientOptions = {
      ...{ protocol: secure ? 'mqtts' : 'mqtt', host: address.address, port: Number(port || (secure ? 8883 : 1883)) },
      ...{ protocolVersion: 4, clean: true, reconnectPeriod: 0, connectTimeout: this.timeoutMs },
      ...{ clientId: `${this.clientId}-${channel}`.slice(0, 64), username, password },
      // The address is called, the name is proven.
      ...(secure
        ? { servername: hostname.replace(/^\[|\]$/g, ''), ...(authority === undefined ? {} : { ca: authority }) }
        : {}),
    };
    const client = await connected(mqtt.connect(options));
    this.#connections.set(channel, { key, client });
    return client;
  }

  async #drop(channel: string): Promise<void> {
    const present = this.#connections.get(channel);
    this.#connections.delete(channel);
    await present?.client.endAsync(true).catch(() => undefined);
  }
}

/** Resolves with the first CONNACK that accepts; a refused or failed connection ends here. */
function connected(client: MqttClient): Promise<MqttClient> {
  return new Promise((resolve, reject) => {
    let fault: Error = Object.assign(new Error('closed'), { code: 'ECONNRESET' });
    client.once('connect', () => resolve(client));
    client.on('error', (error) => {
      fault = error;
    });
    client.once('close', () => {
      client.end(true);
      reject(fault);
    });
  });
}

async function withTimeout<T>(work: Promise<T>, timeoutMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(Object.assign(new Error('timed out'), { code: 'TIMED_OUT' })), timeoutMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
