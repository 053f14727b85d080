import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { chunksOf } from '@vigie/models/package/descriptor';
import { chunkTopic, deviceTopic, type ReleaseReference } from '@vigie/protocol';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Behaviour, type Board, makePackage, startBoard } from './board-fixture.js';
import { forger, TestBroker, TestFleet, until } from './fleet-fixture.js';

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

async function board(behaviours: Record<string, Behaviour> = {}, more: object = {}): Promise<Board> {
  const started = await startBoard({ identity: fleet.identity, bundled: base, behaviours, ...more });
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
async function expectFailure(
  started: Board,
  release: ReleaseReference,
  generation: number,
  phase: string,
  code: string,
) {
  const reported = await ended(generation);
  expect({ phase: reported.phase, code: reported.error?.code }).toEqual({ phase, code });
  expect(started.live.active?.version).toBe('1.0.0');
  expect(reported.active?.release.digest).not.toBe(release.digest);
  const before = started.updater.status().active?.framesRun ?? 0;
  await until('the old model goes on', () => (started.updater.status().active?.framesRun ?? 0) > before + 5);
}

describe('an install', () => {
  test('goes from assignment to commit, then the other way back, and reports the swap', async () => {
    const started = await board();
    const next = await fleet.publish(await makePackage('1.1.0'));
    await fleet.assign(next, 1, { trial: TRIAL });
    const committed = await ended(1);
    expect(committed.phase).toBe('COMMITTED');
    expect(committed.error).toBeNull();
    expect(committed.active?.release).toEqual(next);
    expect(committed.swap?.framesMissed).toBe(0);
    expect(committed.swap?.durationMs).toBeGreaterThan(0);
    expect(started.live.active?.version).toBe('1.1.0');
    await until('the previous child is closed', () => started.factory.living.size === 1);
    const phases = fleet.reports.filter(({ generation }) => generation === 1).map(({ phase }) => phase);
    expect([...new Set(phases)].slice(0, 7)).toEqual([
      'OFFERED',
      'PREFLIGHT',
      'DOWNLOADING',
      'VERIFYING',
      'STAGED',
      'SELF_TEST',
      'TRIAL',
    ]);

    const back = await fleet.publish(base);
    await fleet.assign(back, 2, { trial: TRIAL });
    expect((await ended(2)).phase).toBe('COMMITTED');
    expect(started.live.active?.version).toBe('1.0.0');
  });

  test('fetches nothing that the disk holds: shared files of other packages and its own earlier download', async () => {
    await board();
    const release = await makePackage('1.1.0', { seed: 777 });
    const next = await fleet.publish(release);
    broker.subscribed.length = 0;
    await fleet.assign(next, 1, { trial: TRIAL });
    await ended(1);
    const asked = broker.subscribed.filter((topic) => topic.includes('/chunks/'));
    // The descriptor, the certificate, the chunks of the model and the manifest; labels and golden frame lie in the bundled package.
    const model = chunksOf(await readFile(join(release, 'model.onnx')));
    expect(model.length).toBeGreaterThan(10);
    expect(asked).toHaveLength(model.length + 3);
    const labels = chunksOf(await readFile(join(release, 'labels.txt')))[0].sha256;
    expect(asked).not.toContain(chunkTopic(labels));
  });

  test('is the first model of a board that came without one', async () => {
    const next = await fleet.publish(base);
    const started = await startBoard({ identity: fleet.identity });
    boards.push(started);
    expect(started.live.active).toBeNull();
    await fleet.assign(next, 1, { trial: TRIAL });
    expect((await ended(1)).phase).toBe('COMMITTED');
    expect(started.live.active?.version).toBe('1.0.0');
  });

  test('is superseded by a newer generation', async () => {
    const started = await board();
    const missing = await fleet.publish(await makePackage('1.1.0', { seed: 3 }), { chunks: false });
    const next = await fleet.publish(await makePackage('1.2.0'));
    await fleet.assign(missing, 1, { trial: TRIAL });
    await fleet.report('a download', ({ generation, phase }) => generation === 1 && phase === 'DOWNLOADING');
    await fleet.assign(next, 2, { trial: TRIAL });
    expect((await ended(2)).phase).toBe('COMMITTED');
    expect(started.live.active?.version).toBe('1.2.0');
    expect(fleet.reports.some(({ generation, phase }) => generation === 1 && phase === 'FAILED')).toBe(false);
  });
});

describe('refused, while the old model keeps running', () => {
  test('a chunk with one byte changed', async () => {
    const started = await board();
    const directory = await makePackage('1.1.0', { seed: 5 });
    const next = await fleet.publish(directory);
    const [chunk] = chunksOf(await readFile(join(directory, 'model.onnx')));
    const wrong = Buffer.from(chunk.bytes);
    wrong[1000] ^= 1;
    await broker.retain(chunkTopic(chunk.sha256), wrong);
    await fleet.assign(next, 1);
    await expectFailure(started, next, 1, 'FAILED', 'CHUNK_CORRUPT');
  });

  test('a chunk that is not there, which is tried again until it is', async () => {
    const started = await board();
    const directory = await makePackage('1.1.0', { seed: 6 });
    const next = await fleet.publish(directory, { chunks: false });
    await fleet.assign(next, 1, { trial: TRIAL });
    await expectFailure(started, next, 1, 'FAILED', 'CHUNK_MISSING');
    await fleet.publish(directory);
    await fleet.report('the later success', ({ generation, phase }) => generation === 1 && phase === 'COMMITTED');
    expect(started.live.active?.version).toBe('1.1.0');
  });

  test('targets signed by a forger, then an expired timestamp, then an older version', async () => {
    const started = await board();
    const next = await fleet.publish(await makePackage('1.1.0'));
    await fleet.assign(null, 1);
    fleet.targetsSigner = forger(fleet.keys.targets);
    await fleet.republish();
    await fleet.assign(next, 2);
    await expectFailure(started, next, 2, 'FAILED', 'TUF_SIGNATURE_INVALID');

    fleet.targetsSigner = fleet.keys.targets;
    fleet.timestampExpires = new Date(Date.now() - 60_000);
    await fleet.republish();
    await fleet.assign(next, 3);
    await expectFailure(started, next, 3, 'FAILED', 'TUF_EXPIRED');

    fleet.timestampExpires = new Date(Date.now() + 3_600_000);
    await fleet.republish();
    await fleet.report('the success after a fresh timestamp', (r) => r.generation === 3 && r.phase === 'COMMITTED');

    const other = await fleet.publish(await makePackage('1.3.0'));
    await fleet.republish(1);
    await fleet.assign(other, 4);
    const reported = await ended(4);
    expect(reported.error?.code).toBe('TUF_ROLLBACK');
    expect(started.live.active?.version).toBe('1.1.0');
  });

  test('a release that the publisher does not list', async () => {
    const started = await board();
    const next = await fleet.publish(await makePackage('1.1.0'));
    fleet.releases.clear();
    await fleet.republish();
    await fleet.assign(next, 1);
    await expectFailure(started, next, 1, 'FAILED', 'TARGET_UNKNOWN');
  });

  test('a digest that is not the one the publisher signed', async () => {
    const started = await board();
    const next = await fleet.publish(await makePackage('1.1.0'));
    const other = { ...next, digest: 'a'.repeat(64) };
    await fleet.assign(other, 1);
    await expectFailure(started, other, 1, 'FAILED', 'DIGEST_MISMATCH');
  });

  test('a package for another board or a newer agent', async () => {
    const started = await board();
    const other = await fleet.publish(await makePackage('1.1.0', { requires: { hardwareClasses: ['rpi5-8g'] } }));
    await fleet.assign(other, 1);
    await expectFailure(started, other, 1, 'FAILED', 'HARDWARE_NOT_SUPPORTED');
    const newer = await fleet.publish(await makePackage('1.2.0', { requires: { agent: '9.0.0' } }));
    await fleet.assign(newer, 2);
    await expectFailure(started, newer, 2, 'FAILED', 'AGENT_TOO_OLD');
  });

  test('a model that does not load, and one whose golden test fails', async () => {
    const started = await board({ '1.1.0': { loadError: 'no such operator' }, '1.2.0': { detections: () => [] } });
    const broken = await fleet.publish(await makePackage('1.1.0'));
    await fleet.assign(broken, 1);
    await expectFailure(started, broken, 1, 'FAILED', 'MODEL_LOAD_FAILED');
    const wrong = await fleet.publish(await makePackage('1.2.0'));
    await fleet.assign(wrong, 2);
    await expectFailure(started, wrong, 2, 'FAILED', 'GOLDEN_MISMATCH');
    expect(started.factory.living.size).toBe(1);
  });

  test('a trial that is too slow, one that dies and one that sees less', async () => {
    const started = await board({
      '1.1.0': { ms: 100 },
      '1.2.0': { dieAtFrame: 4 },
      '1.3.0': {
        detections: (live) =>
          live ? [] : [{ classId: 0, label: 'person', score: 0.9, box: [0.25, 0.25, 0.75, 0.75] }],
      },
    });
    let generation = 0;
    for (const [version, code] of [
      ['1.1.0', 'TRIAL_TOO_SLOW'],
      ['1.2.0', 'TRIAL_CHILD_CRASHED'],
      ['1.3.0', 'TRIAL_DISAGREES'],
    ]) {
      generation += 1;
      const next = await fleet.publish(await makePackage(version));
      await fleet.assign(next, generation, { trial: TRIAL });
      await expectFailure(started, next, generation, 'ROLLED_BACK', code);
    }
  });

  test('what failed here before, unless asked with retry', async () => {
    const behaviours: Record<string, Behaviour> = { '1.1.0': { detections: () => [] } };
    const started = await board(behaviours);
    const next = await fleet.publish(await makePackage('1.1.0'));
    await fleet.assign(next, 1);
    await expectFailure(started, next, 1, 'FAILED', 'GOLDEN_MISMATCH');
    await fleet.assign(next, 2);
    await expectFailure(started, next, 2, 'FAILED', 'PREVIOUSLY_FAILED');
    behaviours['1.1.0'] = {};
    await fleet.assign(next, 3, { retry: true, trial: TRIAL });
    expect((await ended(3)).phase).toBe('COMMITTED');
  });

  test('a desired state of a forger, of another board, of the past, and no envelope at all', async () => {
    await board();
    const refusal = (code: string) => fleet.report(code, ({ error }) => error?.code === code);
    await fleet.assign(null, 5);
    await fleet.report('generation 5', ({ generation }) => generation === 5);
    await fleet.assign(null, 6, {}, forger(fleet.keys.root).privateKey);
    await refusal('DESIRED_SIGNATURE_INVALID');
    await fleet.assign(null, 6, { deviceId: 'board-2' });
    await refusal('DESIRED_WRONG_DEVICE');
    await fleet.assign(null, 4);
    await refusal('DESIRED_STALE_GENERATION');
    await broker.retain(deviceTopic('board-1', 'desired'), Buffer.from('{"payload":1}'));
    expect((await refusal('DESIRED_MALFORMED')).generation).toBe(5);
  });
});
