import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { CATALOGUE } from '../src/pull/catalogue.js';
import { checkUrl } from '../src/pull/check-url.js';
import { type DownloadOptions, download } from '../src/pull/download.js';
import { temporaryFolder } from './package-fixture.js';

/** 300,000 bytes that differ from place to place. */
const BODY = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * 31 + (i >> 8)) & 0xff));
const sha256 = createHash('sha256').update(BODY).digest('hex');
const ETAG = '"v1"';

let server: Server | undefined;
afterEach(async () => {
  server?.closeAllConnections();
  await new Promise((closed) => (server === undefined ? closed(null) : server.close(closed)));
  server = undefined;
});

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** Serves the answers in order, the last one for ever; gives the URL and the requests' headers. */
async function serve(...answers: Answer[]): Promise<{ url: string; seen: IncomingMessage['headers'][] }> {
  const seen: IncomingMessage['headers'][] = [];
  server = createServer((request, response) => {
    const answer = answers[Math.min(seen.length, answers.length - 1)];
    seen.push(request.headers);
    answer(request, response);
  });
  await new Promise<void>((listening) => server?.listen(0, '127.0.0.1', listening));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/model.onnx`, seen };
}

/** A server that knows ranges, as RFC 9110 says. */
const ranged: Answer = (request, response) => {
  const start =
    request.headers['if-range'] === ETAG ? Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0) : 0;
  const headers = { etag: ETAG, 'content-length': BODY.length - start };
  if (start > 0)
    response.writeHead(206, { ...headers, 'content-range': `bytes ${start}-${BODY.length - 1}/${BODY.length}` });
  else response.writeHead(200, headers);
  response.end(BODY.subarray(start));
};
/** Sends `bytes` of the body and breaks the connection. */
const breaking =
  (bytes: number, etag: string | undefined = ETAG): Answer =>
  (_request, response) => {
    response.writeHead(200, { ...(etag === undefined ? {} : { etag }), 'content-length': BODY.length });
    response.write(BODY.subarray(0, bytes), () => setImmediate(() => response.destroy()));
  };
const status =
  (code: number, headers: Record<string, string> = {}): Answer =>
  (_request, response) =>
    response.writeHead(code, headers).end('no');

async function options(url: string, change: Partial<DownloadOptions> = {}): Promise<DownloadOptions> {
  const file = join(await temporaryFolder(), 'model.onnx');
  return {
    ...{ url, sha256, file, maxBytes: 1 << 20, retries: 2, stallMs: 10_000, totalMs: 20_000, sleep: async () => {} },
    ...change,
  };
}

const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'fetched',
    (error: { name: string; code: string }) => (error.name === 'PullError' ? error.code : String(error)),
  );

describe('download', () => {
  it('writes the file under its name only when it is whole, and leaves nothing beside it', async () => {
    const { url } = await serve(ranged);
    const seen: number[] = [];
    const wanted = await options(url, { onProgress: (bytes) => seen.push(bytes) });
    expect(await download(wanted)).toBe(BODY.length);
    expect((await readFile(wanted.file)).equals(BODY)).toBe(true);
    expect(existsSync(`${wanted.file}.partial`) || existsSync(`${wanted.file}.partial.etag`)).toBe(false);
    expect(seen.at(-1)).toBe(BODY.length);
  });

  it('goes on where a broken connection stopped', async () => {
    const { url, seen } = await serve(breaking(100_000), ranged);
    const wanted = await options(url);
    await download(wanted);
    expect((await readFile(wanted.file)).equals(BODY)).toBe(true);
    expect(seen).toHaveLength(2);
    expect(seen[1]).toMatchObject({ 'if-range': ETAG, range: expect.stringMatching(/^bytes=[1-9]\d*-$/) });
  });

  it('goes on in a later call', async () => {
    const { url, seen } = await serve(breaking(100_000), ranged);
    const wanted = await options(url, { retries: 0 });
    expect(await codeOf(download(wanted))).toBe('NETWORK_FAILED');
    expect((await stat(`${wanted.file}.partial`)).size).toBeGreaterThan(0);
    await download(wanted);
    expect(seen[1].range).toMatch(/^bytes=[1-9]/);
    expect((await readFile(wanted.file)).equals(BODY)).toBe(true);
  });

  it.each<[string, Answer, Answer]>([
    [
      'a server that knows no ranges',
      breaking(100_000),
      (_q, response) => response.writeHead(200, { etag: ETAG }).end(BODY),
    ],
    ['a file that changed in between', breaking(100_000, '"v0"'), ranged],
    ['a weak validator', breaking(100_000, 'W/"v1"'), ranged],
    ['no validator', breaking(100_000, undefined), ranged],
  ])('begins anew with %s', async (_what, first, second) => {
    const { url } = await serve(first, second);
    const wanted = await options(url);
    await download(wanted);
    expect((await readFile(wanted.file)).equals(BODY)).toBe(true);
  });

  it('begins anew when the server sends another range than it was asked for', async () => {
    const wrong: Answer = (_q, response) =>
      response
        .writeHead(206, { etag: ETAG, 'content-range': `bytes 5-${BODY.length - 1}/${BODY.length}` })
        .end(BODY.subarray(5));
    const { url, seen } = await serve(breaking(100_000), wrong, ranged);
    const wanted = await options(url);
    await download(wanted);
    expect(seen[2].range).toBeUndefined();
  });

  it('takes 416 for the end of a file that is whole already', async () => {
    const whole = await serve(status(416, { 'content-range': `bytes */${BODY.length}` }));
    const wanted = await options(whole.url);
    await writeFile(`${wanted.file}.partial`, BODY);
    await writeFile(`${wanted.file}.partial.etag`, ETAG);
    await download(wanted);
    expect((await readFile(wanted.file)).equals(BODY)).toBe(true);
  });

  it('begins anew when what is here is longer than the file', async () => {
    const { url, seen } = await serve(status(416, { 'content-range': 'bytes */5' }), ranged);
    const wanted = await options(url);
    await writeFile(`${wanted.file}.partial`, Buffer.alloc(400_000));
    await writeFile(`${wanted.file}.partial.etag`, ETAG);
    await download(wanted);
    expect(seen.map((headers) => headers.range)).toEqual(['bytes=400000-', undefined]);
    expect((await readFile(wanted.file)).equals(BODY)).toBe(true);
  });

  it('deletes a file with another hash', async () => {
    const { url } = await serve((_q, response) => response.writeHead(200, { etag: ETAG }).end('something else'));
    const wanted = await options(url);
    expect(await codeOf(download(wanted))).toBe('HASH_MISMATCH');
    expect(
      [wanted.file, `${wanted.file}.partial`, `${wanted.file}.partial.etag`].filter((file) => existsSync(file)),
    ).toEqual([]);
  });

  it('stops at the bound: when it is announced, and when the data never end', async () => {
    const announced = await serve((_q, response) => response.writeHead(200, { 'content-length': 1 << 30 }).end());
    expect(await codeOf(download(await options(announced.url)))).toBe('TOO_LARGE');
    server?.closeAllConnections();
    server?.close();
    const endless = await serve((_q, response) => {
      const more = () => {
        while (!response.destroyed && response.write(BODY));
        if (!response.destroyed) response.once('drain', more);
      };
      more();
    });
    const wanted = await options(endless.url);
    expect(await codeOf(download(wanted))).toBe('TOO_LARGE');
    expect(existsSync(`${wanted.file}.partial`)).toBe(false);
  });

  it('gives a server up that sends nothing, before and amid the body', async () => {
    const silent = await serve(() => {});
    expect(await codeOf(download(await options(silent.url, { stallMs: 60, retries: 1 })))).toBe('TIMED_OUT');
    expect(silent.seen).toHaveLength(2);
    server?.closeAllConnections();
    server?.close();
    const amid = await serve((_q, response) => {
      response.writeHead(200, { 'content-length': BODY.length });
      response.write(BODY.subarray(0, 10));
    });
    expect(await codeOf(download(await options(amid.url, { stallMs: 60, retries: 1 })))).toBe('TIMED_OUT');
  });

  it('ends altogether after its time, however steadily a byte drips', async () => {
    const { url } = await serve((_q, response) => {
      response.writeHead(200, { 'content-length': BODY.length });
      const drip = setInterval(() => (response.destroyed ? clearInterval(drip) : response.write('x')), 10);
    });
    expect(await codeOf(download(await options(url, { totalMs: 300 })))).toBe('TIMED_OUT');
  });

  it('takes 4xx for final and tries 5xx again, after the time the server names', async () => {
    const gone = await serve(status(404));
    expect(await codeOf(download(await options(gone.url)))).toBe('NOT_FOUND');
    expect(gone.seen).toHaveLength(1);
    server?.closeAllConnections();
    server?.close();
    const waits: number[] = [];
    const busy = await serve(status(503, { 'retry-after': '7' }), status(500), ranged);
    await download(await options(busy.url, { sleep: async (ms) => void waits.push(ms), random: () => 1 }));
    expect(waits).toEqual([7000, 1000]);
  });

  it('follows five redirects, each to where it may go', async () => {
    const hop: Answer = (_q, response) => response.writeHead(302, { location: '/next' }).end();
    const { url } = await serve(hop, hop, hop, hop, hop, ranged);
    const wanted = await options(url);
    await download(wanted);
    server?.closeAllConnections();
    server?.close();
    expect(await codeOf(download(await options((await serve(hop)).url)))).toBe('URL_REFUSED');
    server?.closeAllConnections();
    server?.close();
    const out = await serve((_q, response) => response.writeHead(302, { location: 'http://example.com/' }).end());
    expect(await codeOf(download(await options(out.url)))).toBe('URL_REFUSED');
  });
});

describe('checkUrl', () => {
  it.each([
    'http://example.com/a',
    'file:///etc/passwd',
    'ftp://example.com/',
    'https://u:p@example.com/',
    'nonsense',
    '',
  ])('refuses %j', (url) => {
    expect(() => checkUrl(url)).toThrow(expect.objectContaining({ code: 'URL_REFUSED' }));
  });
  it.each(['https://example.com/a.onnx', 'http://127.0.0.1:8000/a', 'http://[::1]/a', 'http://localhost/a'])(
    'takes %s',
    (url) => {
      expect(checkUrl(url).href).toContain('://');
    },
  );
});

it('the catalogue names each model once, by https and a whole hash', () => {
  expect(new Set(CATALOGUE.map(({ name }) => name)).size).toBe(CATALOGUE.length);
  for (const { url, sha256: pinned } of CATALOGUE) {
    expect(checkUrl(url).protocol).toBe('https:');
    expect(pinned).toMatch(/^[0-9a-f]{64}$/);
  }
});
