import { join } from 'node:path';
import type { Reply } from '@vigie/protocol';
import { expect, test } from 'vitest';
import { Outbox } from '../src/io/outbox.js';
import { systemClock } from '../src/io/system-clock.js';
import { silent } from './board-fixture.js';
import { materialise } from './disk-model.js';
import { scratchFolder } from './fleet-fixture.js';
import { RecordingFileSystem } from './recording-file-system.js';

const bootId = '11111111-2222';
const reply = (sequence: number): Reply => ({
  bootId,
  sequence,
  at: '2026-11-21T07:00:00.000Z',
  commandId: `c${sequence}`,
  ok: true,
  result: 'x'.repeat(300),
});

function box(data: string, disk?: RecordingFileSystem, boot = bootId): { outbox: Outbox; sent: number[] } {
  const sent: number[] = [];
  const outbox = new Outbox({
    directory: join(data, 'outbox'),
    bootId: boot,
    clock: { ...systemClock, after: () => () => {} },
    log: silent,
    files: disk,
    segmentBytes: 1500,
    connected: () => true,
    send: async (_kind, { sequence }) => {
      sent.push(sequence);
    },
  });
  return { outbox, sent };
}

/** What the box holds after a start on that folder. */
async function held(data: string): Promise<Set<number>> {
  const { outbox, sent } = box(data, undefined, '33333333-4444');
  await outbox.open();
  outbox.reconnected();
  await outbox.close();
  return new Set(sent);
}

/** What was journaled and what was acknowledged when so many operations had been done. */
interface Moment {
  operations: number;
  journaled: number[];
  acknowledged: number[];
}

async function story(disk: RecordingFileSystem, data: string): Promise<Moment[]> {
  const moments: Moment[] = [];
  const [journaled, acknowledged]: number[][] = [[], []];
  const note = () =>
    moments.push({ operations: disk.operations.length, journaled: [...journaled], acknowledged: [...acknowledged] });
  for (let start = 0; start < 3; start += 1) {
    const { outbox } = box(data, disk);
    await outbox.open();
    for (let i = 0; i < 8; i += 1) {
      const sequence = start * 8 + i + 1;
      outbox.put('replies', reply(sequence));
      if (i % 3 !== 0) await outbox.settled();
      if (i % 3 === 0) continue;
      journaled.push(...[sequence - 1, sequence].filter((each) => !journaled.includes(each) && each > start * 8));
      note();
      if (i % 2 === 0) {
        acknowledged.push(sequence - 1);
        outbox.acknowledge({ bootId, sequence: sequence - 1 });
        note();
      }
    }
    await outbox.close();
    note();
  }
  return moments;
}

test('whatever was journaled is there after a power cut at any operation, unless it was acknowledged', async () => {
  const data = scratchFolder();
  const disk = new RecordingFileSystem(data);
  const moments = await story(disk, data);
  const disks = new Map<string, Set<number>>();
  for (const { index, cut, tree, key } of disk.cuts()) {
    const moment = moments.findLast(({ operations }) => operations <= index);
    const gone = new Set(
      moments.find(({ operations }) => operations >= index)?.acknowledged ?? moments.at(-1)?.acknowledged,
    );
    let present = disks.get(key);
    if (present === undefined) {
      const copy = scratchFolder();
      materialise(tree, copy);
      present = await held(copy);
      disks.set(key, present);
    }
    for (const sequence of moment?.journaled ?? []) {
      const kept = present.has(sequence) || gone.has(sequence);
      expect(kept, `message ${sequence}, cut before operation ${index}, ${JSON.stringify(cut)}`).toBe(true);
    }
  }
  expect(moments.at(-1)?.journaled).toHaveLength(24);
  process.stdout.write(`${disk.operations.length} operations, ${disks.size} different disks, 0 messages lost\n`);
}, 60_000);

for (const code of ['EIO', 'ENOSPC'] as const) {
  test(`${code} at any operation loses nothing that comes after it, and nothing that was before`, async () => {
    // Five messages are twelve operations: lines, syncs, a new segment.
    for (let n = 0; n < 12; n += 1) {
      const data = scratchFolder();
      const disk = new RecordingFileSystem(data);
      const { outbox } = box(data, disk);
      await outbox.open();
      for (const sequence of [1, 2, 3]) outbox.put('replies', reply(sequence));
      await outbox.settled();
      const from = disk.count + n;
      disk.fault = (count) => (count === from ? code : null);
      for (const sequence of [4, 5, 6, 7, 8]) {
        outbox.put('replies', reply(sequence));
        await outbox.settled();
      }
      expect(outbox.size, `operation ${n}`).toBe(8);
      await outbox.close();
      const present = await held(data);
      const lost = [1, 2, 3, 4, 5, 6, 7, 8].filter((sequence) => !present.has(sequence));
      // The one whose own line failed was told to be unjournaled; it went out all the same.
      expect(lost.length, `operation ${n}: ${lost}`).toBeLessThanOrEqual(1);
    }
  });
}
