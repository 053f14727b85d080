import { releaseTargetPath } from '@vigie/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Board, makePackage, startBoard } from './board-fixture.js';
import { TestBroker, TestFleet, until } from './fleet-fixture.js';

const TRIAL = { minFrames: 5, compareEvery: 2, deadlineMs: 5000 };

let broker: TestBroker;
let fleet: TestFleet;
let board: Board | null;

beforeEach(async () => {
  broker = await TestBroker.start();
  fleet = new TestFleet(broker);
  board = null;
});
afterEach(async () => {
  await board?.stop();
  await broker.close();
});

async function committed(version: string, generation: number) {
  const release = await fleet.publish(await makePackage(version));
  await fleet.assign(release, generation, { trial: TRIAL });
  await fleet.report(`${version} committed`, (r) => r.generation === generation && r.phase === 'COMMITTED');
  return release;
}

async function withdraw(version: string): Promise<void> {
  fleet.releases.delete(releaseTargetPath('person-detector', version));
  await fleet.republish();
}

test('a withdrawn release is left for the one before, without a trial and for good', async () => {
  board = await startBoard({ identity: fleet.identity, bundled: await makePackage('1.0.0') });
  const first = await committed('1.1.0', 1);
  await committed('1.2.0', 2);
  await withdraw('1.2.0');
  const back = await fleet.report(
    'back on 1.1.0',
    (r) => r.phase === 'COMMITTED' && r.error?.code === 'RELEASE_WITHDRAWN',
  );
  expect(back).toMatchObject({ generation: 2, active: { release: first } });
  expect(board.live.active?.version).toBe('1.1.0');
  await until('the withdrawn child is closed', () => board?.factory.living.size === 1);

  const { data } = board;
  await board.stop();
  board = await startBoard({ identity: fleet.identity, data });
  expect(board.factory.spawned).toEqual(['1.1.0']);
  const { updater } = board;
  await until('frames', () => (updater.status().active?.framesRun ?? 0) > 5);
  expect(updater.status()).toMatchObject({ phase: 'COMMITTED', error: { code: 'RELEASE_WITHDRAWN' } });
});

test('with nothing else to run a board keeps a withdrawn release, and says so', async () => {
  board = await startBoard({ identity: fleet.identity });
  const only = await committed('1.1.0', 1);
  await withdraw('1.1.0');
  const stays = await fleet.report('the note', (r) => r.error?.code === 'RELEASE_WITHDRAWN');
  expect(stays.active?.release).toEqual(only);
  expect(board.live.active?.version).toBe('1.1.0');
});
