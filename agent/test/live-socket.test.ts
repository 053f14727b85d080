import { connect } from 'node:net';
import type { Event } from '@vigie/protocol';
import { afterEach, describe, expect, it } from 'vitest';
import { type ClientOptions, WebSocket } from 'ws';
import type { LiveMessage } from '../src/io/live-socket.js';
import { until } from './mjpeg-reader.js';
import { DIGEST, startTestBoard } from './test-board.js';

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

async function start(...args: Parameters<typeof startTestBoard>) {
  const test = await startTestBoard(...args);
  closers.push(() => test.server.close());
  return { ...test, url: `ws://127.0.0.1:${test.server.port}/live` };
}

async function join(url: string, options: ClientOptions = {}) {
  const messages: LiveMessage[] = [];
  const socket = new WebSocket(url, options);
  const state = { closed: 0 };
  socket.on('message', (data) => messages.push(JSON.parse(data.toString()) as LiveMessage));
  socket.on('close', (code) => {
    state.closed = code;
  });
  await new Promise<void>((resolve, reject) => {
    socket.once('open', resolve);
    socket.once('error', reject);
  });
  return { socket, messages, state };
}

const EVENT = { id: 'e1', type: 'start' } as unknown as Event;
const MODEL = {
  type: 'model',
  digest: DIGEST,
  name: 'm',
  version: '1.0.0',
  precision: 'int8',
  phase: 'TRIAL',
} as const;
const frame = (sequence: number, padding = '') =>
  ({ type: 'frame', sequence, at: 1, digest: DIGEST + padding, latencyMs: 2, tracks: [] }) as const;

describe('WS /live', () => {
  it('sends frames, events and models in order; a latecomer learns the model first', async () => {
    const { board, url } = await start();
    const early = await join(url);
    board.live.broadcastFrame(frame(1));
    board.live.broadcastModel(MODEL);
    board.live.broadcastEvent(EVENT);
    await until(() => early.messages.length === 3, 'three messages');
    expect(early.messages).toEqual([frame(1), MODEL, { type: 'event', event: EVENT }]);
    const late = await join(url);
    await until(() => late.messages.length === 1, 'the model');
    expect(late.messages).toEqual([MODEL]);
  });

  it('lets a slow client lose frames, not events, and cuts it at last while others go on', async () => {
    const { board, url } = await start({}, {}, { skipFramesAboveBytes: 100_000, closeAboveBytes: 3_000_000 });
    const slow = await join(url);
    slow.socket.pause();
    const fast = await join(url);
    const padding = 'x'.repeat(50_000);
    let sequence = 0;
    while (board.live.counters.framesSkipped < 3 && sequence < 2000) {
      board.live.broadcastFrame(frame(++sequence, padding));
      await until(() => fast.messages.length === sequence, 'the fast client');
    }
    expect(board.live.counters.framesSkipped).toBeGreaterThanOrEqual(3);
    board.live.broadcastEvent(EVENT);
    slow.socket.resume();
    await until(() => slow.messages.some((message) => message.type === 'event'), 'the event at the slow client');
    expect(slow.messages.length).toBeLessThan(sequence);

    slow.socket.pause();
    const heavy = { ...EVENT, label: 'y'.repeat(200_000) };
    for (let sent = 0; board.live.counters.clientsCut === 0 && sent < 500; sent++) {
      const before = fast.messages.length;
      board.live.broadcastEvent(heavy);
      await until(() => fast.messages.length > before, 'the fast client');
    }
    expect(board.live.counters.clientsCut).toBe(1);
    slow.socket.resume();
    await until(() => slow.state.closed === 1006, 'the cut');
    expect(fast.state.closed).toBe(0);
  });

  it('is open to its own page and to programs, not to other web pages', async () => {
    const { url, base } = await start();
    await join(url, { origin: base });
    await join(url);
    await expect(join(url, { origin: 'http://evil.example' })).rejects.toThrow('403');
    await expect(join(url, { origin: 'null' })).rejects.toThrow('403');
    await expect(join(url, { headers: { Host: 'evil.example' } })).rejects.toThrow('403');
    await expect(join(url.replace('/live', '/other'))).rejects.toThrow('404');
  });

  it('asks for the token', async () => {
    const { url } = await start({}, { token: 'secret' });
    await expect(join(url)).rejects.toThrow('401');
    await join(`${url}?token=secret`);
    await join(url, { headers: { Authorization: 'Bearer secret' } });
  });

  it('turns away one client too many, and survives those that talk nonsense', async () => {
    const { board, url, server } = await start({}, {}, { maxClients: 2 });
    const first = await join(url);
    const noisy = await join(url);
    await expect(join(url)).rejects.toThrow('503');
    noisy.socket.send('z'.repeat(5000));
    await until(() => noisy.state.closed !== 0, 'the noisy client gone');
    const raw = connect(server.port, '127.0.0.1', () => {
      raw.write('GET /live HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
    });
    raw.resume();
    await new Promise((resolve) => raw.once('close', resolve));
    board.live.broadcastFrame(frame(1));
    await until(() => first.messages.length === 1, 'the frame');
  });

  it('drops clients that do not answer pings, and says good-bye when the agent stops', async () => {
    const { board, url, server } = await start({}, {}, { pingEveryMs: 50 });
    const alive = await join(url);
    const dead = await join(url, { autoPong: false });
    await until(() => dead.state.closed !== 0, 'the dead client gone');
    expect(board.live.clientCount).toBe(1);
    await server.close();
    await until(() => alive.state.closed === 1001, 'good-bye');
  });
});
