import type { DeviceConfiguration } from '@vigie/protocol';
import { configurationDigest } from '@vigie/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Board, makePackage, startBoard } from './board-fixture.js';
import { TestBroker, TestFleet, until } from './fleet-fixture.js';

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

const begin = async (data?: string): Promise<{ board: Board; heard: (DeviceConfiguration | null)[] }> => {
  const board = await startBoard({ identity: fleet.identity, bundled: base, ...(data === undefined ? {} : { data }) });
  boards.push(board);
  const heard: (DeviceConfiguration | null)[] = [];
  board.updater.onConfiguration((configuration) => heard.push(configuration));
  return { board, heard };
};

const said =
  (configuration: DeviceConfiguration, ok: boolean) =>
  (reported: { configuration?: { digest: string; ok: boolean } }) =>
    reported.configuration?.digest === configurationDigest(configuration) && reported.configuration.ok === ok;

test('a configuration is applied without a restart, reported, and in force after one without a network', async () => {
  const { board, heard } = await begin();
  expect(heard).toEqual([null]);
  const labels = [...(board.live.active?.labels ?? [])];
  const first = { labels: [labels[0]], thresholds: { [labels[0]]: 0.7 } };
  await fleet.assign(null, 1, { configuration: first });
  const report = await fleet.report('the configuration', said(first, true));
  expect(report).toMatchObject({ generation: 1, phase: 'IDLE', error: null });
  expect(heard).toEqual([null, first]);
  const strange = { labels: ['unicorn'] };
  await fleet.assign(null, 2, { configuration: strange });
  const refused = await fleet.report('the code', said(strange, false));
  expect(refused.configuration).toMatchObject({ code: 'LABEL_UNKNOWN', message: expect.stringContaining('unicorn') });
  expect(board.factory.spawned, 'nothing was started again').toEqual(['1.0.0']);
  await board.stop();
  boards.pop();
  await broker.close();
  const again = await begin(board.data);
  expect(again.heard.at(-1)).toEqual(strange);
});

test('a configuration that comes in the middle of a trial leaves the install alone', async () => {
  const { board, heard } = await begin();
  await until('live results', () => (board.updater.status().active?.framesRun ?? 0) > 20);
  const next = await fleet.publish(await makePackage('1.1.0', { seed: 11 }));
  const trial = { minFrames: 100, compareEvery: 2, deadlineMs: 20_000 };
  await fleet.assign(next, 1, { trial, retry: true });
  await fleet.report('the trial', ({ phase }) => phase === 'TRIAL');
  const configuration = {
    zones: [
      {
        name: 'gate',
        polygon: [
          [0, 0],
          [1, 0],
          [1, 1],
        ],
      },
    ],
  };
  await fleet.assign(next, 2, { trial, retry: true, configuration });
  const end = await fleet.report('the commit', ({ phase, generation }) => phase === 'COMMITTED' && generation === 2);
  expect(end).toMatchObject({ active: { release: { version: '1.1.0' } }, configuration: { ok: true } });
  expect(heard.at(-1)).toEqual(configuration);
  expect(board.factory.spawned, 'the candidate was loaded once').toEqual(['1.0.0', '1.1.0']);
});
