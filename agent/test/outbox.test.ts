import { appendFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Event, Reply } from '@vigie/protocol';
import { beforeEach, expect, test } from 'vitest';
import { Outbox, type OutboxOptions } from '../src/io/outbox.js';
import { silent } from './board-fixture.js';
import { scratchFolder } from './fleet-fixture.js';

const bootId = '11111111-2222';
let directory: string;
let connected: boolean;
let sent: number[];
let timers: (() => void)[];
let time: number;

function outbox(more: Partial<OutboxOptions> = {}): Outbox {
  return new Outbox({
    directory,
    bootId,
    log: silent,
    clock: {
      now: () => time,
      wall: () => time,
      after: (_ms, run) => {
        timers.push(run);
        return () => {};
      },
    },
    connected: () => connected,
    send: async (_kind, message) => {
      sent.push(message.sequence);
    },
    resendMs: 100,
    ...more,
  });
}

const reply = (sequence: number, text = ''): Reply => ({
  bootId,
  sequence,
  at: '2026-11-21T07:00:00.000Z',
  commandId: `c${sequence}`,
  ok: true,
  result: text,
});

beforeEach(async () => {
  directory = scratchFolder();
  connected = true;
  sent = [];
  timers = [];
  time = 0;
});

test('sends in order, again when nobody answers, never what was acknowledged', async () => {
  const box = outbox();
  await box.open();
  for (const sequence of [1, 2, 3]) box.put('replies', reply(sequence));
  await box.settled();
  expect(sent).toEqual([1, 2, 3]);
  box.acknowledge({ bootId, sequence: 2 });
  box.acknowledge({ bootId, sequence: 99 });
  time = 150;
  timers.shift()?.();
  expect(sent).toEqual([1, 2, 3, 1, 3]);
  await box.close();
});

test('keeps what was not acknowledged over a restart, and survives a line that was cut off', async () => {
  const box = outbox();
  await box.open();
  for (const sequence of [1, 2, 3]) box.put('replies', reply(sequence));
  await box.settled();
  box.acknowledge({ bootId, sequence: 1 });
  await box.close();
  const [name] = await readdir(directory);
  await appendFile(join(directory, name), '{"kind":"replies","mess');
  sent = [];
  const again = outbox({ bootId: '33333333-4444' });
  await again.open();
  expect(again.size).toBe(2);
  again.reconnected();
  expect(sent).toEqual([2, 3]);
  await again.close();
});

test('a report of an earlier start is a state of the past and is not kept', async () => {
  const box = outbox();
  await box.open();
  box.put('reported', {
    bootId,
    sequence: 1,
    at: '2026-11-21T07:00:00.000Z',
    generation: 1,
    phase: 'COMMITTED',
    active: null,
    candidate: null,
    error: null,
    agentVersion: '0.1.0',
    hardwareClass: 'x',
  });
  await box.close();
  const again = outbox({ bootId: '33333333-4444' });
  await again.open();
  expect(again.size).toBe(0);
  await again.close();
});

test('without a connection it waits; with one it sends a window at a time', async () => {
  connected = false;
  const box = outbox({ window: 2 });
  await box.open();
  for (const sequence of [1, 2, 3]) box.put('replies', reply(sequence));
  await box.settled();
  expect(sent).toEqual([]);
  connected = true;
  box.reconnected();
  expect(sent).toEqual([1, 2]);
  box.acknowledge({ bootId, sequence: 1 });
  expect(sent).toEqual([1, 2, 3]);
  await box.close();
});

test('beyond the cap the oldest are dropped and counted', async () => {
  connected = false;
  const box = outbox({ capBytes: 40_000, segmentBytes: 8000 });
  await box.open();
  for (let sequence = 1; sequence <= 100; sequence += 1) {
    box.put('replies', reply(sequence, 'x'.repeat(1000)));
    await box.settled();
  }
  expect(box.dropped).toBeGreaterThan(50);
  expect(box.size + box.dropped).toBe(100);
  connected = true;
  box.reconnected();
  expect(sent.at(-1)).toBe(100);
  expect(sent[0]).toBe(box.dropped + 1);
  await box.close();
});

test('acknowledged segments leave the disk', async () => {
  const box = outbox({ segmentBytes: 2000 });
  await box.open();
  for (let sequence = 1; sequence <= 30; sequence += 1) {
    box.put('replies', reply(sequence, 'x'.repeat(500)));
    await box.settled();
    box.acknowledge({ bootId, sequence });
  }
  await box.settled();
  expect((await readdir(directory)).length).toBeLessThan(3);
  await box.close();
});

test('what is no message any more is left out', async () => {
  const event = { bootId, sequence: 5, id: 'not an id!' } as unknown as Event;
  await appendFile(join(directory, '00000001.jsonl'), `${JSON.stringify({ kind: 'events', message: event })}\n`);
  const box = outbox();
  await box.open();
  expect(box.size).toBe(0);
  await box.close();
});
