import { randomBytes } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import { HttpsChunkTransport, type HttpsChunkTransportOptions } from '../src/io/delivery/https-chunk-transport.js';
import { systemClock } from '../src/io/system-clock.js';
import type { DeliveryPlan } from '../src/update/delivery.js';
import { CuttingProxy, cutFile, ObjectServer, plainOpen, receiver, serveRange } from './delivery-fixture.js';

const servers: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const server of servers.splice(0).reverse()) await server.close();
});

async function serve(...[answer]: Parameters<typeof ObjectServer.start>): Promise<ObjectServer> {
  const server = await ObjectServer.start(answer);
  servers.push(server);
  return server;
}

async function download(
  baseUrl: string,
  file: ReturnType<typeof cutFile>,
  options: Partial<HttpsChunkTransportOptions> & { plan?: Partial<DeliveryPlan>; wanted?: typeof file.chunks } = {},
) {
  const { plan, wanted = file.chunks, ...more } = options;
  const came = await receiver(plan);
  const transport = new HttpsChunkTransport({
    open: plainOpen,
    baseUrl,
    clock: systemClock,
    random: () => 0.5,
    backoffMs: { first: 2, longest: 10 },
    quietMs: 500,
    ...more,
  });
  const signal = new AbortController().signal;
  const error = await transport.fetch(wanted, { ...came, signal }).then(
    () => null,
    (thrown: Error & { code?: string }) => thrown.code ?? thrown.message,
  );
  return { ...came, error };
}

function expectAll(file: ReturnType<typeof cutFile>, came: { got: Map<string, Buffer>; twice: string[] }) {
  for (const chunk of file.chunks) expect(came.got.get(chunk.sha256)).toEqual(file.bytesOf(chunk));
  expect(came.twice).toEqual([]);
}

describe('chunks over HTTPS', () => {
  it('come in one transfer where they are adjacent, and only those that are wanted', async () => {
    const file = cutFile(300_000);
    const server = await serve((request, response) => serveRange(file.bytes, request, response));
    const wanted = file.chunks.filter((_, i) => i < 3 || (i >= 6 && i < 9));
    const came = await download(server.url, file, { wanted });
    expect(came.error).toBeNull();
    expect([...came.got.keys()]).toEqual(wanted.map(({ sha256 }) => sha256));
    const size = wanted.reduce((sum, { length }) => sum + length, 0);
    expect(came.meter.counted).toBe(size);
    // Two runs of neighbours, in pieces of 64 KiB at first.
    expect(server.requests.length).toBeLessThanOrEqual(2 + Math.ceil(size / 65_536));
    expect(server.requests[0].range).toMatch(/^bytes=0-/);
  });

  it('go on at the byte where a transfer was cut: nothing comes twice', async () => {
    const file = cutFile(600_000);
    const server = await serve((request, response, count) =>
      serveRange(file.bytes, request, response, count % 3 === 0 ? undefined : 30_000 + count),
    );
    const came = await download(server.url, file);
    expect(came.error).toBeNull();
    expectAll(file, came);
    expect(came.meter.counted).toBe(file.bytes.length);
    expect(server.requests.length).toBeGreaterThan(2);
  });

  it('go on through a proxy that cuts', async () => {
    const file = cutFile(900_000);
    const server = await serve((request, response) => serveRange(file.bytes, request, response));
    const proxy = await CuttingProxy.start(server.port);
    servers.push(proxy);
    let cuts = 0;
    const open: typeof plainOpen = (url, options) => {
      if (cuts++ < 6) proxy.cutAfter = 100_000;
      return plainOpen(url, options);
    };
    const came = await download(`http://127.0.0.1:${proxy.port}`, file, { open });
    expect(came.error).toBeNull();
    expectAll(file, came);
    expect(came.meter.counted).toBe(file.bytes.length);
    expect(cuts).toBeGreaterThan(5);
  });

  it('wait as long as Retry-After says, by seconds or by date', async () => {
    const file = cutFile(50_000);
    const seen: number[] = [];
    const server = await serve((request, response, count) => {
      seen.push(performance.now());
      if (count === 1) response.writeHead(503, { 'retry-after': '1' }).end();
      else if (count === 2)
        response
          .writeHead(429, {
            date: 'Sat, 21 Nov 2026 07:00:00 GMT',
            'retry-after': 'Sat, 21 Nov 2026 07:00:01 GMT',
          })
          .end();
      else serveRange(file.bytes, request, response);
    });
    const came = await download(server.url, file, { random: () => 0 });
    expect(came.error).toBeNull();
    expectAll(file, came);
    expect(seen[1] - seen[0]).toBeGreaterThan(990);
    expect(seen[2] - seen[1]).toBeGreaterThan(990);
  });

  it.each([400, 401, 403, 404, 410, 416])('are not asked for again after %i', async (status) => {
    const file = cutFile(50_000);
    const server = await serve((_request, response) => response.writeHead(status).end());
    expect((await download(server.url, file)).error).toBe('DOWNLOAD_REFUSED');
    expect(server.requests).toHaveLength(1);
  });

  it('count as missing after a bounded number of failures', async () => {
    const file = cutFile(50_000);
    const server = await serve((_request, response) => response.writeHead(502).end());
    expect((await download(server.url, file, { attempts: 4 })).error).toBe('CHUNK_MISSING');
    expect(server.requests).toHaveLength(5);
  });

  it('count as missing where a server falls silent', async () => {
    const file = cutFile(50_000);
    const server = await serve((_request, response) => response.writeHead(206, { 'content-range': 'bytes 0-9/10' }));
    expect((await download(server.url, file, { attempts: 1, quietMs: 50 })).error).toBe('CHUNK_MISSING');
  });

  it('are refused with other bytes, after bounded attempts', async () => {
    const file = cutFile(50_000);
    const wrong = Buffer.from(file.bytes);
    wrong[20_000] ^= 1;
    const server = await serve((request, response) => serveRange(wrong, request, response));
    const came = await download(server.url, file);
    expect(came.error).toBe('CHUNK_CORRUPT');
    expect(server.requests).toHaveLength(4);
  });

  it('come from a server that sends whole files, but not over a metered line', async () => {
    const file = cutFile(200_000);
    const server = await serve((_request, response) => response.writeHead(200).end(file.bytes));
    const wanted = file.chunks.slice(4);
    const came = await download(server.url, file, { wanted });
    expect(came.error).toBeNull();
    expect(came.got.size).toBe(wanted.length);
    expect(came.meter.counted).toBe(file.bytes.length);
    expect((await download(server.url, file, { wanted, plan: { metered: true } })).error).toBe('DOWNLOAD_REFUSED');
  });

  it('leave an endless answer after what is wanted', async () => {
    const file = cutFile(50_000);
    const server = await serve((_request, response) => {
      response.writeHead(206, { 'content-range': `bytes 0-${file.bytes.length - 1}/*` });
      response.write(file.bytes);
      const more = setInterval(() => response.write(randomBytes(65_536)), 1);
      response.on('close', () => clearInterval(more));
    });
    const came = await download(server.url, file);
    expect(came.error).toBeNull();
    expectAll(file, came);
    expect(came.meter.counted).toBeLessThan(file.bytes.length + 200_000);
  });

  it('never take more than the budget, whatever retries eat up', async () => {
    const file = cutFile(200_000);
    const wrong = Buffer.from(file.bytes);
    wrong[5000] ^= 1;
    const server = await serve((request, response, count) =>
      serveRange(count < 3 ? wrong : file.bytes, request, response),
    );
    const came = await download(server.url, file, { plan: { maxBytes: 202_000 } });
    expect(came.error).toBe('DATA_BUDGET_EXCEEDED');
    expect(came.ledger.generationBytes).toBeLessThanOrEqual(202_000);
  });

  it('end what the receiver refuses with its own error', async () => {
    const file = cutFile(50_000);
    const server = await serve((request, response) => serveRange(file.bytes, request, response));
    const transport = new HttpsChunkTransport({
      open: plainOpen,
      baseUrl: server.url,
      clock: systemClock,
      random: Math.random,
    });
    const { meter } = await receiver();
    const onChunk = async () => Promise.reject(Object.assign(new Error('full'), { code: 'ENOSPC' }));
    const fetching = transport.fetch(file.chunks, { meter, onChunk, signal: new AbortController().signal });
    await expect(fetching).rejects.toMatchObject({ code: 'ENOSPC' });
  });
});
