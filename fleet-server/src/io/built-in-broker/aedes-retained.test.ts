import { Aedes } from 'aedes';
import { describe, expect, it } from 'vitest';
import { RetainedMessages } from './aedes-retained.js';

const packet = (topic: string, text = 'x') => ({ topic, payload: Buffer.from(text) });

async function topicsOf(retained: RetainedMessages, ...filters: string[]): Promise<string[]> {
  const found = await retained.createRetainedStreamCombi(filters).toArray();
  return found.map((one: { topic: string }) => one.topic);
}

describe('retained messages', () => {
  it('finds exact topics, newest payload, and forgets what was cleared', async () => {
    const retained = new RetainedMessages();
    for (const topic of ['a/b', 'a/c', 'constructor', 'a']) await retained.storeRetained(packet(topic));
    await retained.storeRetained(packet('a/c', 'newer'));
    expect(await topicsOf(retained, 'a/b', 'nothing', 'constructor')).toEqual(['a/b', 'constructor']);
    expect([...retained.matching('a/c')].map(({ payload }) => payload.toString())).toEqual(['newer']);
    await retained.storeRetained(packet('a/b', ''));
    expect(await topicsOf(retained, 'a/b')).toEqual([]);
    expect(retained.size).toBe(3);
  });

  it('takes wildcards as MQTT 3.1.1 has them (4.7.1)', async () => {
    const retained = new RetainedMessages();
    for (const topic of ['sport', 'sport/tennis', 'sport/tennis/p1', '/finance', '$SYS/up']) {
      await retained.storeRetained(packet(topic));
    }
    expect(await topicsOf(retained, 'sport/#')).toEqual(['sport', 'sport/tennis', 'sport/tennis/p1']);
    expect(await topicsOf(retained, 'sport/+')).toEqual(['sport/tennis']);
    expect(await topicsOf(retained, '+/+')).toEqual(['sport/tennis', '/finance']);
    expect(await topicsOf(retained, '#')).toEqual(['sport', 'sport/tennis', 'sport/tennis/p1', '/finance']);
    expect(await topicsOf(retained, '$SYS/#')).toEqual(['$SYS/up']);
  });

  it('takes the place of the store of the aedes that is installed here', async () => {
    const aedes = await Aedes.createBroker();
    const retained = RetainedMessages.install(aedes);
    const published = (payload: string) =>
      new Promise<void>((resolve, reject) => {
        aedes.publish(
          { cmd: 'publish', topic: 'kept', payload: Buffer.from(payload), qos: 1, retain: true, dup: false },
          (error) => (error ? reject(error) : resolve()),
        );
      });
    await published('yes');
    expect(retained.size).toBe(1);
    await published('');
    expect(retained.size).toBe(0);
    await new Promise<void>((resolve) => aedes.close(() => resolve()));
  });
});
