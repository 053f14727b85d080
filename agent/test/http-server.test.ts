import { request } from 'node:http';
import { connect } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { startTestBoard } from './test-board.js';

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

async function start(...args: Parameters<typeof startTestBoard>) {
  const test = await startTestBoard(...args);
  closers.push(() => test.server.close());
  return test;
}

/** fetch() forbids setting Host; node's client does not. */
function askAs(base: string, path: string, headers: Record<string, string>): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    request(`${base}${path}`, { headers }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
    })
      .on('error', reject)
      .end();
  });
}

describe('startHttpServer', () => {
  it('answers its endpoints, and HEAD without a body', async () => {
    const { base } = await start();
    const health = await fetch(`${base}/health`);
    expect([health.status, health.headers.get('content-type')]).toEqual([200, 'application/json; charset=utf-8']);
    expect(await health.json()).toMatchObject({ ok: true, camera: { status: 'streaming' } });
    expect(await (await fetch(`${base}/events`)).json()).toEqual({ items: [] });
    expect(await (await fetch(`${base}/metrics`)).text()).toBe('vigie_frames_total 3\n');
    const head = await fetch(`${base}/metrics`, { method: 'HEAD' });
    expect([head.status, head.headers.get('content-length'), await head.text()]).toEqual([200, '21', '']);
    const stream = await fetch(`${base}/stream.mjpeg`, { method: 'HEAD' });
    expect(stream.headers.get('content-type')).toContain('multipart/x-mixed-replace');
  });

  it('serves a page that loads nothing from elsewhere, under a policy that allows nothing else', async () => {
    const { base } = await start();
    const reply = await fetch(base);
    const page = await reply.text();
    expect(page).not.toMatch(/(src|href)="(https?:)?\/\//);
    const policy = reply.headers.get('content-security-policy') ?? '';
    expect(policy).toContain("default-src 'none'");
    expect(policy).toMatch(/script-src 'sha256-/);
    expect(reply.headers.get('x-content-type-options')).toBe('nosniff');
  });

  it('says 503 in words a machine can read: not healthy, no model', async () => {
    const { base } = await start({
      health: () => ({
        ok: false,
        uptimeSeconds: 1,
        camera: { status: 'retrying' },
        detector: { digest: null, restarts: 0, framesProcessed: 0, fps: 0, latencyMs: null, drops: {} },
        link: { connected: false },
        install: { phase: 'IDLE', error: null },
      }),
    });
    expect((await fetch(`${base}/health`)).status).toBe(503);
    const info = await fetch(`${base}/model/info`);
    expect([info.status, info.headers.get('content-type')]).toEqual([503, 'application/problem+json; charset=utf-8']);
    expect(await info.json()).toMatchObject({ code: 'NO_MODEL' });
  });

  it.each([
    ['GET', '/nothing', 404, 'NOT_FOUND'],
    ['GET', '/toString', 404, 'NOT_FOUND'],
    ['POST', '/health', 405, 'METHOD_NOT_ALLOWED'],
    ['DELETE', '/events', 405, 'METHOD_NOT_ALLOWED'],
    ['GET', '/predict', 405, 'METHOD_NOT_ALLOWED'],
    ['POST', '/predict', 501, 'NOT_OFFERED'],
    ['GET', '/events?limit=0', 400, 'BAD_LIMIT'],
    ['GET', '/events?limit=ten', 400, 'BAD_LIMIT'],
  ])('%s %s is %i %s', async (method, path, status, code) => {
    const { base } = await start();
    const reply = await fetch(base + path, { method });
    expect(reply.status).toBe(status);
    expect(await reply.json()).toMatchObject({ code, status });
    if (status === 405) expect(reply.headers.get('allow')).toBeTruthy();
  });

  it('survives a request that is none, and goes on', async () => {
    const { base, server } = await start();
    const text = await new Promise<string>((resolve) => {
      let got = '';
      const socket = connect(server.port, '127.0.0.1', () =>
        socket.write('GET //[ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'),
      );
      socket.on('data', (data) => {
        got += data.toString();
      });
      socket.on('close', () => resolve(got));
    });
    expect(text).toMatch(/^HTTP\/1\.1 400 /);
    expect((await fetch(`${base}/health`)).status).toBe(200);
  });

  it('takes a picture of bounded size for prediction and refuses what is none', async () => {
    const { base } = await start({
      predict: async (picture) => {
        if (picture[0] !== 0xff) throw new Error('not a JPEG');
        return { width: 1, height: 1, digest: 'd', detections: [] };
      },
    });
    const post = (body: Uint8Array<ArrayBuffer>) => fetch(`${base}/predict`, { method: 'POST', body });
    expect(await (await post(Uint8Array.of(0xff, 0xd8))).json()).toMatchObject({ detections: [] });
    const bad = await post(Uint8Array.of(1));
    expect([bad.status, ((await bad.json()) as { code: string }).code]).toEqual([422, 'PICTURE_UNREADABLE']);
    const large = await post(new Uint8Array(8 * 1024 * 1024 + 1)).catch(() => null);
    expect(large === null || large.status === 413).toBe(true);
  });

  it('without a token answers only to local names: no web page may rebind its name to the camera', async () => {
    const { base } = await start();
    expect((await askAs(base, '/health', { Host: 'evil.example' })).status).toBe(403);
    expect((await askAs(base, '/health', { Host: 'localhost:1' })).status).toBe(200);
    expect((await askAs(base, '/health', { Host: '[::1]:8081' })).status).toBe(200);
  });

  it('with a token asks for it everywhere, as bearer or in the query', async () => {
    const { base } = await start({}, { token: 'correct horse battery' });
    for (const path of ['/', '/health', '/stream.mjpeg', '/nothing']) {
      const reply = await fetch(base + path);
      expect([path, reply.status, reply.headers.get('www-authenticate')]).toEqual([path, 401, 'Bearer realm="vigie"']);
    }
    const bearer = (token: string) => fetch(`${base}/health`, { headers: { Authorization: `Bearer ${token}` } });
    expect((await bearer('correct horse batterx')).status).toBe(401);
    expect((await bearer('correct horse battery')).status).toBe(200);
    expect((await fetch(`${base}/health?token=correct%20horse%20battery`)).status).toBe(200);
    expect((await askAs(base, '/health?token=correct%20horse%20battery', { Host: 'camera.example' })).status).toBe(200);
  });

  it('refuses to listen beyond loopback without a token, and says what else is wrong', async () => {
    await expect(startTestBoard({}, { host: '0.0.0.0' })).rejects.toMatchObject({ code: 'TOKEN_REQUIRED' });
    const { server } = await start();
    const { startHttpServer } = await import('../src/io/http-server.js');
    const { board } = await start();
    await expect(startHttpServer({ host: '127.0.0.1', port: server.port }, board)).rejects.toMatchObject({
      code: 'ADDRESS_IN_USE',
    });
    await expect(startHttpServer({ host: '192.0.2.1', port: 0, token: 't' }, board)).rejects.toMatchObject({
      code: 'ADDRESS_REFUSED',
    });
  });
});
