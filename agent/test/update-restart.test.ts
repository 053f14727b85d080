import { cpSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { deviceTopic, snapshotTopic } from '@vigie/protocol';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Board, makePackage, startBoard } from './board-fixture.js';
import { scratchFolder, TestBroker, TestFleet, until } from './fleet-fixture.js';

const TRIAL = { minFrames: 10, compareEvery: 2, deadlineMs: 5000 };

let broker: TestBroker;
let fleet: TestFleet;
let boards: Board[];
let base: string;

beforeEach(async () => {
  broker = await TestBroker.start();
  fleet = new TestFleet(broker);
  boards = [];
  base = await makePackage('1.0.0');
});

afterEach(async () => {
  for (const board of boards) await board.stop();
  await broker.close();
});

async function board(): Promise<Board> {
  const started = await startBoard({ identity: fleet.identity, bundled: base });
  boards.push(started);
  // A yardstick for the trial needs some frames of the present model.
  await until('live results', () => (started.updater.status().active?.framesRun ?? 0) > 20);
  return started;
}

function ended(generation: number) {
  return fleet.report(
    `the end of generation ${generation}`,
    (reported) => reported.generation === generation && ['COMMITTED', 'ROLLED_BACK', 'FAILED'].includes(reported.phase),
  );
}

/** Refused, and the old model still runs. */
describe('a restart', () => {
  /** A copy of the data folder, taken between two steps, is what a power cut would have left. */
  function copyOf(data: string): string {
    const copy = scratchFolder();
    cpSync(data, copy, { recursive: true });
    return copy;
  }

  for (const phase of ['OFFERED', 'PREFLIGHT', 'DOWNLOADING', 'VERIFYING', 'STAGED', 'SELF_TEST', 'TRIAL'] as const) {
    test(`at ${phase} wakes up on the previous model and goes on`, async () => {
      let frozen: string | null = null;
      const started = await board();
      started.updater.onPhase((status) => {
        if (status.phase === phase) frozen ??= copyOf(started.data);
      });
      const next = await fleet.publish(await makePackage('1.1.0', { seed: 11 }));
      await fleet.assign(next, 1, { trial: { ...TRIAL, minFrames: 60 } });
      const data = await until(`a copy at ${phase}`, () => frozen);
      await started.stop();
      boards.pop();

      broker.published.length = 0;
      const again = await startBoard({ identity: fleet.identity, bundled: base, data });
      boards.push(again);
      expect(again.factory.spawned[0]).toBe('1.0.0');
      expect((await ended(1)).phase).toBe('COMMITTED');
      expect(again.live.active?.version).toBe('1.1.0');
    });
  }

  test('after the commit starts from the new model; when that is damaged from the bundled one, and repairs it', async () => {
    const started = await board();
    const next = await fleet.publish(await makePackage('1.1.0'));
    await fleet.assign(next, 1, { trial: TRIAL });
    expect((await ended(1)).phase).toBe('COMMITTED');
    await started.stop();
    boards.pop();
    const again = await startBoard({ identity: fleet.identity, bundled: base, data: started.data });
    expect(again.factory.spawned).toEqual(['1.1.0']);
    await again.stop();

    await writeFile(join(started.data, 'slots', next.digest, 'labels.txt'), 'somebody\n');
    broker.published.length = 0;
    const third = await startBoard({ identity: fleet.identity, bundled: base, data: started.data });
    boards.push(third);
    expect(third.factory.spawned[0]).toBe('1.0.0');
    expect((await ended(1)).phase).toBe('COMMITTED');
    await until('the repaired model', () => third.live.active?.version === '1.1.0');
  });

  test('gives a model up that takes the agent down again and again', async () => {
    const started = await board();
    const next = await fleet.publish(await makePackage('1.1.0'));
    const frozen: string[] = [];
    started.updater.onPhase((status) => {
      if (status.phase === 'SELF_TEST') frozen.push(copyOf(started.data));
    });
    await fleet.assign(next, 1, { trial: { ...TRIAL, minFrames: 60 } });
    let data = await until('a copy', () => frozen[0]);
    await started.stop();
    boards.pop();
    for (let start = 0; start < 2; start += 1) {
      const again = await startBoard({ identity: fleet.identity, bundled: base, data, blind: true });
      let copy: string | null = null;
      let offered = false;
      again.updater.onPhase((status) => {
        offered ||= status.phase === 'OFFERED';
        if (offered && status.phase === 'SELF_TEST') copy ??= copyOf(again.data);
      });
      data = await until('a copy at the next start', () => copy);
      await again.stop();
    }
    broker.published.length = 0;
    const last = await startBoard({ identity: fleet.identity, bundled: base, data });
    boards.push(last);
    expect((await ended(1)).error?.code).toBe('TRIAL_CHILD_CRASHED');
    expect(last.factory.spawned).toEqual(['1.0.0']);
  });
});

describe('the wire', () => {
  test('a refused subscription is asked for again, and a cut line is mended with birth and subscriptions', async () => {
    broker.refused.add(deviceTopic('board-1', 'desired'));
    const started = await board();
    const asked = () => broker.subscribed.filter((topic) => topic === deviceTopic('board-1', 'desired')).length;
    await until('two refusals', () => asked() >= 2);
    broker.refused.clear();
    const next = await fleet.publish(await makePackage('1.1.0'));
    await fleet.assign(next, 1, { trial: TRIAL });
    expect((await ended(1)).phase).toBe('COMMITTED');

    const births = () =>
      broker.published.filter(({ topic, payload }) => topic.endsWith('/presence') && payload.includes('"online":true'));
    const before = births().length;
    broker.cut();
    await until('another birth', () => births().length > before);
    const { bootId } = started.updater.status();
    expect(
      broker.published.some(
        ({ topic, payload }) =>
          topic.endsWith('/presence') && payload.includes('"online":false') && payload.includes(bootId),
      ),
    ).toBe(true);
    await fleet.assign(null, 2);
    await fleet.report('generation 2', ({ generation }) => generation === 2);
  });

  test('an event stays in the outbox over a restart until it is acknowledged; telemetry and snapshots just go', async () => {
    const started = await board();
    const { bootId } = started.updater.status();
    const at = new Date().toISOString();
    started.updater.publishEvent({
      id: 'e1',
      type: 'start',
      at,
      startedAt: at,
      trackId: 1,
      label: 'person',
      score: 0.9,
      box: [0, 0, 1, 1],
      frame: { sequence: 1, width: 640, height: 360 },
      modelDigest: null,
      stagesMs: {},
    });
    const event = await until('the event', () => fleet.events[0]);
    expect(event.bootId).toBe(bootId);
    await until('it comes again', () => fleet.events.length > 1);
    await started.stop();
    boards.pop();
    broker.published.length = 0;
    const again = await startBoard({ identity: fleet.identity, bundled: base, data: started.data });
    boards.push(again);
    const resent = await until('the event after the restart', () => fleet.events[0]);
    expect(resent).toEqual(event);
    await until('a connection', () => again.updater.status().connected);
    await fleet.ack(event.bootId, event.sequence);
    await until('an empty outbox', () => {
      // Its own first report may come later than the rest.
      for (const { bootId: boot, sequence } of fleet.reports) void fleet.ack(boot, sequence);
      return again.updater.status().outbox.pending === 0;
    });
    expect(await again.updater.publishSnapshot('e1', Buffer.from('jpeg'))).toBe(true);
    expect(broker.published.some(({ topic }) => topic === snapshotTopic('board-1', 'e1'))).toBe(true);
  });
});
