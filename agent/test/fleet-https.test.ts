import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { TLSSocket } from 'node:tls';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FleetHttps, type FleetHttpsOptions, type TlsCredentials } from '../src/io/fleet-https.js';
import { TestAuthority } from './test-authority.js';

let authority: TestAuthority;
let board: TlsCredentials;
let server: Server;
let client: FleetHttps;
let connections: number;
const clients: FleetHttps[] = [];

/** What is answered at a path. */
const answers: Record<string, (response: ServerResponse, serial: string) => void> = {
  '/serial': (response, serial) => response.end(serial),
  '/large': (response) => response.end(Buffer.alloc(5000)),
  '/endless': (response) => {
    const send = () => response.write(Buffer.alloc(16_384), (error) => error ?? send());
    send();
  },
  '/silent': () => {},
  '/stalls': (response) => response.write('begun'),
  '/cut': (response) => {
    response.writeHead(200, { 'content-length': '1000' });
    response.write('begun', () => response.destroy());
  },
  '/moved': (response) => response.writeHead(302, { location: 'https://elsewhere.example/' }).end(),
};

async function listen(tls: { key: string; cert: string }): Promise<void> {
  server = createServer(
    { ...tls, ca: authority.certificate, requestCert: true, rejectUnauthorized: true },
    (request, response) => {
      const serial = (request.socket as TLSSocket).getPeerX509Certificate()?.serialNumber ?? '';
      answers[request.url ?? '']?.(response, serial);
    },
  );
  server.on('secureConnection', () => {
    connections += 1;
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
}

async function close(): Promise<void> {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}

const connect = (options: Partial<FleetHttpsOptions> = {}): FleetHttps => {
  const { port } = server.address() as { port: number };
  const made = new FleetHttps({ baseUrl: `https://127.0.0.1:${port}`, credentials: () => board, ...options });
  clients.push(made);
  return made;
};

/** The code of a failure. */
const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'answered',
    (error: { code?: string }) => error.code,
  );

beforeEach(async () => {
  authority = await TestAuthority.create();
  board = { ...(await authority.device('board-1')), authorities: [authority.certificate] };
  connections = 0;
  await listen(await authority.server());
  client = connect();
});

afterEach(async () => {
  for (const made of clients.splice(0)) made.close();
  await close();
});

describe('FleetHttps', () => {
  test('keeps its connection, and shows a renewed certificate at the next request', async () => {
    const first = (await client.request('/serial')).body.toString();
    expect((await client.request('/serial')).body.toString()).toBe(first);
    expect(connections).toBe(1);
    board = { ...(await authority.device('board-1')), authorities: [authority.certificate] };
    const second = (await client.request('/serial')).body.toString();
    expect(second).not.toBe(first);
    expect(connections).toBe(2);
  });

  test('bounds an answer, and hands a large one on as a stream', async () => {
    expect((await client.request('/large', { maxBytes: 5000 })).body).toHaveLength(5000);
    expect(await codeOf(client.request('/large', { maxBytes: 4999 }))).toBe('ANSWER_TOO_LARGE');
    expect(await codeOf(client.request('/endless'))).toBe('ANSWER_TOO_LARGE');
    const { status, stream } = await client.open('/endless');
    expect(status).toBe(200);
    const closed = new Promise((resolve) => stream.once('close', resolve));
    let bytes = 0;
    for await (const part of stream) {
      bytes += (part as Buffer).length;
      if (bytes > 2_000_000) break;
    }
    await closed;
  });

  test('gives up on silence, before an answer and within one', async () => {
    const hasty = connect({ idleMs: 200 });
    expect(await codeOf(hasty.request('/silent'))).toBe('TIMED_OUT');
    expect(await codeOf(hasty.request('/stalls'))).toBe('TIMED_OUT');
    const { stream } = await hasty.open('/stalls');
    const [error] = (await once(stream.resume(), 'error')) as [{ code: string }];
    expect(error.code).toBe('TIMED_OUT');
  });

  test('ends at once when it is told to', async () => {
    const reason = new Error('not needed any more');
    for (const path of ['/silent', '/stalls']) {
      const controller = new AbortController();
      const asked = client.request(path, { signal: controller.signal });
      controller.abort(reason);
      await expect(asked).rejects.toBe(reason);
      await expect(client.request(path, { signal: controller.signal })).rejects.toBe(reason);
    }
    const controller = new AbortController();
    const { stream } = await client.open('/stalls', { signal: controller.signal });
    const failed = once(stream.resume(), 'error');
    controller.abort(reason);
    expect(await failed).toEqual([reason]);
  });

  test('says when an answer breaks off, and follows no redirect', async () => {
    expect(await codeOf(client.request('/cut'))).toBe('CUT');
    expect((await client.request('/moved')).status).toBe(302);
  });

  test('shows its certificate to nobody else', async () => {
    for (const url of ['https://elsewhere.example/x', '//elsewhere.example/x', 'http://127.0.0.1/x'])
      expect(await codeOf(client.request(url)), url).toBe('URL_FOREIGN');
  });

  test('believes only its own authority, for the right name, at the right time', async () => {
    const { port } = server.address() as { port: number };
    const foreign = await TestAuthority.create();
    const own = board;
    board = { ...own, authorities: [foreign.certificate] };
    expect(await codeOf(client.request('/serial'))).toBe('SERVER_UNTRUSTED');
    board = { ...(await foreign.device('board-1')), authorities: [authority.certificate] };
    expect(['CERTIFICATE_REFUSED', 'UNREACHABLE']).toContain(await codeOf(client.request('/serial')));
    board = own;
    await close();
    await listen(await authority.server(['fleet.example']));
    expect(await codeOf(connect().request('/serial'))).toBe('SERVER_NAME_MISMATCH');
    await close();
    await listen(await authority.server(undefined, { to: new Date(Date.now() - 1000) }));
    expect(await codeOf(connect().request('/serial'))).toBe('CLOCK_OR_CERTIFICATE_WRONG');
    expect(await codeOf(connect({ baseUrl: `https://127.0.0.1:${port}` }).request('/serial'))).toBe('UNREACHABLE');
  });
});
