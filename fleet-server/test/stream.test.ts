import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { type IncomingMessage, request } from 'node:http';
import { ActivityRepository } from '@vigie/fleet-server/io/database/activity-repository';
import type { Database } from '@vigie/fleet-server/io/database/database';
import { OpenStreams, type StreamRouteOptions, streamRoutes } from '@vigie/fleet-server/routes/stream-routes';
import type { ActivityKind } from '@vigie/fleet-server/services/activity-kinds';
import { ActivityTail } from '@vigie/fleet-server/services/activity-tail';
import { OpenConnections } from '@vigie/fleet-server/services/open-connections';
import Fastify, { type FastifyInstance } from 'fastify';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTestDatabase, temporaryFolder, until } from './server-fixture.js';

let folder: string;
let database: Database;
let activity: ActivityRepository;
let app: FastifyInstance;
let tail: ActivityTail;
let port: number;
let counts = true;
let options: StreamRouteOptions;
const open = new OpenStreams();
const connections = new OpenConnections();
const MOST = 40;
const BIG = 'x'.repeat(100_000);

beforeAll(async () => {
  folder = await temporaryFolder();
  database = await openTestDatabase(folder);
  activity = new ActivityRepository(database);
  tail = new ActivityTail((after, limit) => activity.after(after, limit), pino({ level: 'silent' }), 20);
  app = Fastify({ forceCloseConnections: true });
  app.decorateRequest('credential', null);
  app.addHook('onRequest', async (asked) => {
    const id = String(asked.headers['x-who'] ?? 'token:1');
    const actor = { name: 'x', role: 'viewer' as const };
    asked.credential = { kind: 'token', id, actor, expiresAt: null, secret: 's' };
  });
  app.setValidatorCompiler(() => (value) => ({ value }));
  options = { activity, tail, counts: async () => counts, connections, open, most: MOST, heartbeatMs: 50 };
  streamRoutes(app, options);
  await app.listen({ port: 0, host: '127.0.0.1' });
  port = (app.server.address() as { port: number }).port;
});

afterAll(async () => {
  await app?.close();
  await tail?.close();
  await database?.close();
  await rm(folder, { recursive: true, force: true });
});

const entry = (kind: ActivityKind, subject: string, body: Record<string, unknown> = {}) => ({
  ...{ at: new Date(), kind, subject, actor: 'system', body },
});

/** An event stream as a browser reads it. */
class Reader {
  readonly events: { id?: number; event: string; data: { subject: string; code?: string } }[] = [];
  comments = 0;
  ended = false;
  #rest = '';

  private constructor(readonly answer: IncomingMessage) {
    answer.on('data', (bytes) => this.#take(String(bytes)));
    answer.on('error', () => undefined);
    answer.once('close', () => {
      this.ended = true;
    });
  }

  static async open(query: string, headers: Record<string, string> = {}): Promise<Reader> {
    const asked = request({ port, host: '127.0.0.1', path: `/stream${query}`, headers, agent: false });
    asked.on('error', () => undefined);
    asked.end();
    const [answer] = (await once(asked, 'response')) as [IncomingMessage];
    return new Reader(answer);
  }

  #take(text: string): void {
    this.#rest += text;
    const blocks = this.#rest.split('\n\n');
    this.#rest = blocks.pop() as string;
    for (const block of blocks) {
      const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1];
      const event = field('event');
      if (event === undefined) this.comments += block.startsWith(':') ? 1 : 0;
      else {
        const id = field('id');
        this.events.push({ ...(id === undefined ? {} : { id: Number(id) }), event, data: JSON.parse(field('data')!) });
      }
    }
  }

  get subjects(): string[] {
    return this.events.map(({ data }) => data.subject);
  }

  close(): void {
    this.answer.destroy();
  }
}

describe('the live stream', () => {
  it('brings what happens to all readers by one query, filtered, with signs of life', async () => {
    await activity.add([entry('device.online', 'before')]);
    const all = await Reader.open('');
    const rollouts = await Reader.open('?kinds=rollout.*,device.revoked');
    const one = await Reader.open('?subject=a');
    expect(all.answer.headers['content-type']).toMatch(/^text\/event-stream/);
    await until('three readers', () => tail.size === 3);
    await activity.add([entry('device.online', 'a'), entry('rollout.created', 'r1'), entry('device.revoked', 'b')]);
    await until('all of it', () => all.events.length === 3 && rollouts.events.length === 2 && one.events.length === 1);
    expect([all.subjects, rollouts.subjects, one.subjects]).toEqual([['a', 'r1', 'b'], ['r1', 'b'], ['a']]);
    await until('signs of life', () => all.comments > 1);
    for (const reader of [all, rollouts, one]) reader.close();
    await until('nobody', () => tail.size === 0 && open.size === 0 && connections.size === 0);
  });

  it('goes on behind the last entry seen, without a gap or a repetition, while others write', async () => {
    const first = (await activity.range()).newest;
    let written = 0;
    const writer = (async () => {
      for (; written < 1500; written += 30)
        await activity.add(Array.from({ length: 30 }, (_, index) => entry('device.changed', `n${written + index}`)));
    })();
    const seen: string[] = [];
    let last = first;
    while (seen.length < 1500) {
      const reader = await Reader.open('', { 'last-event-id': String(last) });
      await until('some entries', () => reader.events.length > 200 || seen.length + reader.events.length === 1500);
      reader.close();
      const events = [...reader.events];
      seen.push(...events.map(({ data }) => data.subject));
      last = events.at(-1)?.id ?? last;
    }
    await writer;
    expect(seen).toEqual(Array.from({ length: 1500 }, (_, index) => `n${index}`));
  });

  it('says so when entries behind an id are gone', async () => {
    const { newest } = await activity.range();
    const ahead = await Reader.open('', { 'last-event-id': String(newest + 1000) });
    await until('a reset', () => ahead.events.length === 1);
    expect(ahead.events[0]).toMatchObject({ event: 'reset', id: newest });
    ahead.close();
  });

  it('gives a reader that was slow for a while everything, once, and holds back nobody for it', async () => {
    options.heartbeatMs = 60_000;
    const slow = await Reader.open('');
    slow.answer.pause();
    const quick = await Reader.open('');
    await until('both', () => tail.size === 2);
    // A hundred entries at once are more than may wait for a reader, however quick it is.
    const subjects = Array.from({ length: 100 }, (_, index) => `big${index}`);
    await activity.add(subjects.map((subject) => entry('device.changed', subject, { text: BIG })));
    await until('all for the quick one', () => quick.events.length === 100 && tail.size === 1);
    expect(slow.events).toEqual([]);
    slow.answer.resume();
    await until('all for the slow one', () => slow.events.length === 100 && tail.size === 2);
    await activity.add([entry('device.changed', 'after')]);
    await until('what comes then', () => slow.events.length === 101 && quick.events.length === 101);
    for (const reader of [slow, quick]) {
      expect(reader.subjects).toEqual([...subjects, 'after']);
      expect(reader.ended).toBe(false);
      reader.close();
    }
    await until('nobody', () => open.size === 0);
  });

  it('cuts a reader that takes nothing, and ends one whose token ended', async () => {
    options.heartbeatMs = 50;
    const slow = await Reader.open('');
    slow.answer.pause();
    const quick = await Reader.open('');
    await until('both', () => tail.size === 2);
    let written = 0;
    for (; written < 200 && open.size === 2; written += 2)
      await activity.add([1, 2].map(() => entry('device.changed', 'big', { text: BIG })));
    await until('the slow one to be cut', () => open.size === 1);
    await until('all for the quick one', () => quick.events.length === written);
    expect(quick.ended).toBe(false);
    counts = false;
    await connections.check();
    await until('the end', () => quick.ended);
    expect(quick.events.at(-1)).toMatchObject({ event: 'end', data: { code: 'UNAUTHORIZED' } });
    counts = true;
    slow.answer.resume();
    await until('the cut', () => slow.ended);
  });

  it('does not wait for a reader whose token ended and that takes nothing, the end included', async () => {
    options.heartbeatMs = 500;
    const slow = await Reader.open('');
    slow.answer.pause();
    const quick = await Reader.open('');
    await until('both', () => tail.size === 2);
    await activity.add(Array.from({ length: 200 }, () => entry('device.changed', 'big', { text: BIG })));
    await until('all for the quick one', () => quick.events.length === 200);
    // By then the kernel's buffers are full, too.
    const alive = quick.comments;
    await until('a sign of life', () => quick.comments > alive);
    counts = false;
    await connections.check();
    counts = true;
    await until('both ends', () => open.size === 0);
    slow.close();
  });

  it('refuses more than its places, of one token and of all', async () => {
    const readers: Reader[] = [];
    for (let index = 0; index < 32; index += 1) readers.push(await Reader.open('', { 'x-who': 'token:2' }));
    const over = await Reader.open('', { 'x-who': 'token:2' });
    expect(over.answer.statusCode).toBe(503);
    for (let index = 0; index < 8; index += 1) readers.push(await Reader.open(''));
    expect((await Reader.open('', { 'x-who': 'token:3' })).answer.statusCode).toBe(503);
    for (const reader of readers) reader.close();
    await until('nobody', () => open.size === 0);
    const again = await Reader.open('');
    expect(again.answer.statusCode).toBe(200);
    again.close();
  });
});
