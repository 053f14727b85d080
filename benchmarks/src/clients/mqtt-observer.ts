import { randomUUID } from 'node:crypto';
import { decodeMessage, deviceTopic, type Reported } from '@vigie/protocol';
import { connectAsync, type MqttClient } from 'mqtt';

/** A report with its time of arrival at this client. */
export interface ObservedReport {
  arrivalMs: number;
  report: Reported;
}

/** Watches one device's reports on the broker as an operator: sees a phase in the moment it is published. */
export class MqttObserver {
  readonly reports: ObservedReport[] = [];
  /** Messages that break the wire contract. */
  readonly violations: string[] = [];
  readonly #client: MqttClient;

  private constructor(client: MqttClient) {
    this.#client = client;
  }

  /** Logs in as `operator` with an API token and subscribes to the device's reports. */
  static async connect(url: string, token: string, deviceId: string): Promise<MqttObserver> {
    const client = await connectAsync(url, {
      username: 'operator',
      password: token,
      clientId: `vigie-bench-${randomUUID().slice(0, 8)}`,
      reconnectPeriod: 1000,
      connectTimeout: 10_000,
    });
    const observer = new MqttObserver(client);
    client.on('message', (_topic, payload) => {
      const arrivalMs = performance.now();
      const decoded = decodeMessage('reported', payload);
      if (decoded.ok) observer.reports.push({ arrivalMs, report: decoded.message });
      else observer.violations.push(`${decoded.code}: ${decoded.detail}`);
    });
    await client.subscribeAsync(deviceTopic(deviceId, 'reported'), { qos: 1 });
    return observer;
  }

  async close(): Promise<void> {
    await this.#client.endAsync(true);
  }
}
