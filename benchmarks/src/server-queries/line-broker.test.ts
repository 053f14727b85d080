import mqtt from 'mqtt';
import { expect, it } from 'vitest';
import { waitFor } from '../rig/wait.js';
import { LineBroker } from './line-broker.js';

it('carries messages both ways as a broker does, long ones too', async () => {
  const broker = await LineBroker.listen();
  const heard: [string, number][] = [];
  broker.onPublish = (topic, payload) => heard.push([topic, payload.length]);
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${broker.port}`, { protocolVersion: 4 });
  const received: [string, string][] = [];
  client.on('message', (topic, payload) => received.push([topic, payload.toString()]));
  try {
    await client.subscribeAsync({
      'vigie/v1/devices/+/reported': { qos: 1 },
      'vigie/v1/devices/+/presence': { qos: 1 },
    });
    expect([broker.hears('reported'), broker.hears('presence'), broker.hears('telemetry')]).toEqual([
      true,
      true,
      false,
    ]);
    broker.publish('vigie/v1/devices/q1/reported', 'reported', Buffer.from('x'.repeat(300)), 1);
    broker.publish('vigie/v1/devices/q2/presence', 'presence', Buffer.from('here'), 1);
    broker.publish('vigie/v1/devices/q2/telemetry', 'telemetry', Buffer.from('lost'), 0);
    await client.publishAsync('vigie/v1/devices/q1/desired', 'y'.repeat(70_000), { qos: 1 });
    await waitFor('both messages', () => received.length === 2 && broker.backlog.messages === 0, { timeoutMs: 5000 });
    expect(received).toEqual([
      ['vigie/v1/devices/q1/reported', 'x'.repeat(300)],
      ['vigie/v1/devices/q2/presence', 'here'],
    ]);
    expect(heard).toEqual([['vigie/v1/devices/q1/desired', 70_000]]);
  } finally {
    await client.endAsync(true);
    await broker.close();
  }
});
