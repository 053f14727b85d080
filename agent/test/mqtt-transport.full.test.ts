import { chunkTopic } from '@vigie/protocol';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MqttChunkTransport } from '../src/io/delivery/mqtt-chunk-transport.js';
import { MqttLink } from '../src/io/mqtt-link.js';
import { systemClock } from '../src/io/system-clock.js';
import type { DeliveryPlan } from '../src/update/delivery.js';
import { silent } from './board-fixture.js';
import { type CutFile, CuttingProxy, cutFile, receiver } from './delivery-fixture.js';
import { TestBroker, until } from './fleet-fixture.js';

let broker: TestBroker;
let proxy: CuttingProxy;
let link: MqttLink;

beforeEach(async () => {
  broker = await TestBroker.start();
  proxy = await CuttingProxy.start(broker.port);
  link = new MqttLink({
    url: `mqtt://127.0.0.1:${proxy.port}`,
    deviceId: 'board-1',
    bootId: '00000000-0000-4000-8000-000000000000',
    log: silent,
    backoffMs: { first: 250, longest: 400 },
  });
  link.start();
  await until('a connection', () => link.connected);
});

afterEach(async () => {
  await link.stop();
  await proxy.close();
  await broker.close();
});

async function retain(file: CutFile, chunks = file.chunks): Promise<void> {
  for (const chunk of chunks) await broker.retain(chunkTopic(chunk.sha256), file.bytesOf(chunk));
}

async function download(file: CutFile, plan: Partial<DeliveryPlan> = {}, quietMs = 400, patient = true) {
  const came = await receiver(plan);
  const transport = new MqttChunkTransport({ link, clock: systemClock, random: () => 0.5, quietMs });
  const signal = new AbortController().signal;
  const error = await transport.fetch(file.chunks, { ...came, signal }, patient).then(
    () => null,
    (thrown: Error & { code?: string }) => thrown.code ?? thrown.message,
  );
  return { ...came, error };
}

function expectAll(file: CutFile, came: { got: Map<string, Buffer>; twice: string[] }) {
  for (const chunk of file.chunks) expect(came.got.get(chunk.sha256)).toEqual(file.bytesOf(chunk));
  expect(came.twice).toEqual([]);
}

const chunksAsked = () => broker.subscribed.filter((topic) => topic.includes('/chunks/'));

describe('chunks over MQTT', () => {
  it('come once each, in a bounded window, and leave no subscription behind', async () => {
    const file = cutFile(2_000_000);
    await retain(file);
    let inFlight = 0;
    let most = 0;
    broker.aedes.on('subscribe', (subscriptions) => {
      inFlight += subscriptions.filter(({ topic }) => topic.includes('/chunks/')).length;
      most = Math.max(most, inFlight);
    });
    broker.aedes.on('unsubscribe', (topics) => {
      inFlight -= topics.filter((topic) => topic.includes('/chunks/')).length;
    });
    const came = await download(file);
    expect(came.error).toBeNull();
    expectAll(file, came);
    expect(chunksAsked()).toHaveLength(file.chunks.length);
    expect(most).toBeLessThanOrEqual(64);
    await until('the end of all subscriptions', () => inFlight === 0);
    expect(came.meter.counted).toBeLessThan(file.bytes.length * 1.02);
  });

  it('come again after a cut only as far as they were under way', async () => {
    const file = cutFile(2_000_000);
    await retain(file);
    const cuts = 5;
    const cutting = (async () => {
      for (let i = 0; i < cuts; i += 1) {
        const before = proxy.passed;
        await until('bytes between two cuts', () => proxy.passed > before + 150_000);
        proxy.cut();
        await until('a new connection', () => !link.connected);
        await until('a new connection', () => link.connected);
      }
    })();
    const came = await download(file);
    await cutting;
    expect(came.error).toBeNull();
    expectAll(file, came);
    // No more than a window for each cut.
    expect(proxy.passed).toBeLessThan(file.bytes.length * 1.02 + cuts * 600_000);
    expect(came.meter.counted).toBeGreaterThan(0.98 * proxy.passed);
  });

  it('are asked for again where the line stays silent', async () => {
    const file = cutFile(300_000);
    await retain(file);
    const asked: string[] = [];
    // A broker that loses what it should send: as if it had never been asked.
    const authorize = broker.aedes.authorizeSubscribe;
    broker.aedes.authorizeSubscribe = (client, subscription, done) => {
      const first = subscription.topic.includes('/chunks/') && !asked.includes(subscription.topic);
      asked.push(subscription.topic);
      if (first && asked.length % 5 === 0) done(null, { ...subscription, topic: `${subscription.topic}/lost` });
      else authorize.call(broker.aedes, client, subscription, done);
    };
    const came = await download(file);
    expect(came.error).toBeNull();
    expectAll(file, came);
  });

  it('come later where the broker refuses a subscription for now', async () => {
    const file = cutFile(100_000);
    await retain(file);
    const [topic] = file.chunks.map(({ sha256 }) => chunkTopic(sha256));
    broker.refused.add(topic);
    const fetching = download(file, {}, 5000);
    await until('a refusal', () => broker.subscribed.includes(topic));
    broker.refused.delete(topic);
    const came = await fetching;
    expect(came.error).toBeNull();
    expectAll(file, came);
  });

  it('count as missing when they do not come at all, connected or not', async () => {
    const file = cutFile(100_000);
    await retain(file, file.chunks.slice(1));
    expect((await download(file, {}, 60)).error).toBe('CHUNK_MISSING');
    proxy.stalled = true;
    proxy.cut();
    await until('no connection', () => !link.connected);
    expect((await download(file, {}, 60, false)).error).toBe('CHUNK_MISSING');
  });

  it('are refused with other bytes, or with more', async () => {
    const file = cutFile(100_000);
    await retain(file);
    const [chunk] = file.chunks;
    const wrong = Buffer.from(file.bytesOf(chunk));
    wrong[0] ^= 1;
    await broker.retain(chunkTopic(chunk.sha256), wrong);
    expect((await download(file)).error).toBe('CHUNK_CORRUPT');
    const times = chunksAsked().filter((topic) => topic === chunkTopic(chunk.sha256)).length;
    expect(times).toBeGreaterThan(1);
    expect(times).toBeLessThanOrEqual(4);
    await broker.retain(chunkTopic(chunk.sha256), Buffer.concat([wrong, Buffer.from('x')]));
    expect((await download(file)).error).toBe('CHUNK_TOO_LARGE');
  });

  it('stay within the budget when cuts eat it up, to the byte', async () => {
    const file = cutFile(1_000_000);
    await retain(file);
    const budget = 1_010_000;
    proxy.cutEvery = 50_000;
    proxy.cut();
    await until('a new connection', () => !link.connected);
    const came = await download(file, { maxBytes: budget });
    expect(came.error).toBe('DATA_BUDGET_EXCEEDED');
    expect(came.got.size).toBeGreaterThan(0);
    expect(came.ledger.generationBytes).toBeLessThanOrEqual(budget);
  });

  it('come no faster than the rate', async () => {
    const file = cutFile(300_000);
    await retain(file);
    const start = performance.now();
    const came = await download(file, { maxBytesPerSecond: 100_000 }, 2000);
    expect(came.error).toBeNull();
    expectAll(file, came);
    // A burst of one second is free; no upper bound is asserted: the machine may be slow.
    expect(performance.now() - start).toBeGreaterThan(1500);
  });
});
