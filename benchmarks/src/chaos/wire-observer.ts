import { randomUUID } from 'node:crypto';
import { decodeMessage, deviceTopic, parseTopic } from '@vigie/protocol';
import { connect, type MqttClient } from 'mqtt';
import type { ChaosFolder } from './state.js';

/**
 * Listens on the broker as an operator: which events boards published, and which messages the server acknowledged. It is
 * cut off with every kill of the server, so what it saw is a lower bound; the boards' journals are the other yardstick.
 */
export class WireObserver {
  readonly #client: MqttClient;

  constructor(url: string, token: string, deviceIds: readonly string[], folder: ChaosFolder) {
    const client = connect(url, {
      username: 'operator',
      password: token,
      clientId: `vigie-chaos-${randomUUID().slice(0, 8)}`,
      reconnectPeriod: 250,
      reconnectOnConnackError: true,
      connectTimeout: 5000,
    });
    this.#client = client;
    const topics = deviceIds.flatMap((id) => [deviceTopic(id, 'events'), deviceTopic(id, 'acks')]);
    client.on('connect', () => client.subscribe(topics, { qos: 1 }));
    client.on('error', () => {});
    client.on('message', (topic, payload) => {
      const parsed = parseTopic(topic);
      if (parsed?.kind === 'acks') {
        const ack = decodeMessage('acks', payload);
        if (ack.ok) folder.note('acknowledged', parsed.deviceId, `${ack.message.bootId}:${ack.message.sequence}`, '');
      } else if (parsed?.kind === 'events') {
        const event = decodeMessage('events', payload);
        if (!event.ok) return;
        const { bootId, sequence, id, type, at } = event.message;
        folder.note('published', parsed.deviceId, `${bootId}:${sequence}`, `${id} ${type} ${at}`);
      }
    });
  }

  async close(): Promise<void> {
    await this.#client.endAsync(true);
  }
}
