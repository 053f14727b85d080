import { chunkTopic } from '@vigie/protocol';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ChunkDelivery, type ChunkDeliveryOptions } from '../src/io/delivery/chunk-delivery.js';
import { HttpsChunkTransport } from '../src/io/delivery/https-chunk-transport.js';
import { MqttChunkTransport } from '../src/io/delivery/mqtt-chunk-transport.js';
import { MqttLink } from '../src/io/mqtt-link.js';
import { systemClock } from '../src/io/system-clock.js';
import type { BoardDelivery } from '../src/update/delivery.js';
import { silent } from './board-fixture.js';
import { type CutFile, CuttingProxy, cutFile, ObjectServer, plainOpen, serveRange } from './delivery-fixture.js';
import { scratchFolder, TestBroker, until } from './fleet-fixture.js';

const MIDNIGHT = Date.parse('2026-11-30T23:00:00Z');
const UNRESTRICTED: BoardDelivery = { transport: 'auto', maxBytesPerSecond: 0, monthlyBytes: 0, metered: false };

let broker: TestBroker;
let proxy: CuttingProxy;
let link: MqttLink;
let file: CutFile;
let objects: ObjectServer;
let answer: Parameters<typeof ObjectServer.start>[0];
let data: string;

beforeEach(async () => {
  broker = await TestBroker.start();
  proxy = await CuttingProxy.start(broker.port);
  link = new MqttLink({
    url: `mqtt://127.0.0.1:${proxy.port}`,
    deviceId: 'board-1',
    bootId: '00000000-0000-4000-8000-000000000000',
    log: silent,
    backoffMs: { first: 50, longest: 100 },
  });
  link.start();
  await until('a connection', () => link.connected);
  file = cutFile(600_000);
  for (const chunk of file.chunks) await broker.retain(chunkTopic(chunk.sha256), file.bytesOf(chunk));
  answer = (request, response) => serveRange(file.bytes, request, response);
  objects = await ObjectServer.start((...call) => answer(...call));
  data = scratchFolder();
});

afterEach(async () => {
  await link.stop();
  await objects.close();
  await proxy.close();
  await broker.close();
});

function delivery(board: Partial<BoardDelivery> = {}, more: Partial<ChunkDeliveryOptions> = {}): ChunkDelivery {
  const common = { clock: systemClock, random: Math.random, quietMs: 150 };
  return new ChunkDelivery({
    deviceId: 'board-1',
    dataDirectory: data,
    board: { ...UNRESTRICTED, ...board },
    transports: [
      new MqttChunkTransport({ link, ...common }),
      new HttpsChunkTransport({
        open: plainOpen,
        baseUrl: objects.url,
        ...common,
        attempts: 2,
        backoffMs: { first: 1, longest: 5 },
      }),
    ],
    clock: systemClock,
    now: () => MIDNIGHT,
    log: silent,
    ...more,
  });
}

async function fetchAll(made: ChunkDelivery, policy = {}, generation = 1, chunks = file.chunks, onChunk = () => {}) {
  const got = new Map<string, number>();
  const error = await made
    .fetch(
      chunks,
      async (sha256) => {
        got.set(sha256, (got.get(sha256) ?? 0) + 1);
        onChunk();
      },
      { generation, issuedAt: MIDNIGHT, policy },
      new AbortController().signal,
    )
    .then(
      () => null,
      (thrown: Error & { code?: string }) => thrown.code ?? thrown.message,
    );
  return { got, error, figures: made.figures(generation) };
}

const chunksAsked = () => broker.subscribed.filter((topic) => topic.includes('/chunks/')).length;

describe('a delivery', () => {
  it('comes by MQTT, and says what it took', async () => {
    const { got, error, figures } = await fetchAll(delivery());
    expect(error).toBeNull();
    expect(got.size).toBe(file.chunks.length);
    expect(figures?.transport).toBe('mqtt');
    expect(figures?.fetchedBytes).toBeGreaterThanOrEqual(file.bytes.length);
    expect(figures?.fetchedBytes).toBeLessThan(file.bytes.length * 1.05);
    expect(objects.requests).toHaveLength(0);
  });

  it('goes on by HTTPS when MQTT stalls in the middle, with nothing fetched twice', async () => {
    let count = 0;
    const { got, error, figures } = await fetchAll(delivery(), {}, 1, file.chunks, () => {
      count += 1;
      if (count === 5) proxy.stalled = true;
    });
    expect(error).toBeNull();
    expect(figures?.transport).toBe('https');
    expect([...got.values()].every((times) => times === 1)).toBe(true);
    expect(got.size).toBe(file.chunks.length);
  });

  it('goes back to MQTT where the server refuses HTTPS', async () => {
    proxy.stalled = true;
    answer = (_request, response) => {
      response.writeHead(404).end();
      proxy.stalled = false;
      proxy.cut();
    };
    const { got, error, figures } = await fetchAll(delivery());
    expect(error).toBeNull();
    expect(got.size).toBe(file.chunks.length);
    expect(figures?.transport).toBe('mqtt');
    expect(objects.requests).toHaveLength(1);
  });

  it('ends when no way gets any further, to be tried again later', async () => {
    proxy.stalled = true;
    answer = (_request, response) => response.writeHead(502).end();
    expect((await fetchAll(delivery())).error).toBe('CHUNK_MISSING');
  });

  it('tries no other way over a metered line', async () => {
    proxy.stalled = true;
    expect((await fetchAll(delivery({ metered: true }))).error).toBe('CHUNK_MISSING');
    expect(objects.requests).toHaveLength(0);
  });

  it('fetches nothing at all that does not fit into a budget', async () => {
    const refused = async (board: Partial<BoardDelivery>, policy = {}) =>
      (await fetchAll(delivery(board), policy)).error;
    expect(await refused({ monthlyBytes: 500_000 })).toBe('DATA_BUDGET_EXCEEDED');
    expect(await refused({}, { maxBytes: 500_000 })).toBe('DATA_BUDGET_EXCEEDED');
    expect(await refused({ transport: 'mqtt' }, { transport: 'https' })).toBe('DOWNLOAD_REFUSED');
    expect([chunksAsked(), objects.requests.length]).toEqual([0, 0]);
    expect(await refused({ monthlyBytes: 700_000 }, { maxBytes: 700_000 })).toBeNull();
  });

  it('remembers over restarts what a month and an assignment have used', async () => {
    const board = { monthlyBytes: 1_300_000 };
    expect((await fetchAll(delivery(board))).error).toBeNull();
    expect((await fetchAll(delivery(board), { maxBytes: 700_000 })).error).toBe('DATA_BUDGET_EXCEEDED');
    expect((await fetchAll(delivery(board), { maxBytes: 700_000 }, 2)).error).toBeNull();
    expect((await fetchAll(delivery(board), {}, 3)).error).toBe('DATA_BUDGET_EXCEEDED');
    // A clock that goes back gives nothing; the next month does.
    const back = delivery(board, { now: () => Date.parse('2016-01-01T00:00:00Z') });
    expect((await fetchAll(back, {}, 4)).error).toBe('DATA_BUDGET_EXCEEDED');
    const next = delivery(board, { now: () => Date.parse('2026-12-01T00:00:00Z') });
    expect((await fetchAll(next, {}, 4)).error).toBeNull();
  });

  it('waits its share of the jitter, and is left in the middle of it', async () => {
    const aborted = new AbortController();
    const waits: unknown[] = [];
    const log = { ...silent, info: (fields: object) => waits.push(fields) };
    const fetching = delivery({}, { log }).fetch(
      file.chunks,
      async () => {},
      { generation: 1, issuedAt: MIDNIGHT, policy: { jitterSeconds: 3600 } },
      aborted.signal,
    );
    await until('the wait', () => waits.length === 1);
    expect(waits[0]).toMatchObject({ waitMs: expect.any(Number) });
    aborted.abort(new Error('superseded'));
    await expect(fetching).rejects.toThrow('superseded');
    expect(chunksAsked()).toBe(0);
  });
});
