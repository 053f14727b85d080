import { afterAll, beforeAll, expect, test } from 'vitest';
import { converge, distinct, type Recording, recordInstall, recoverAll } from './install-cuts.js';

let recording: Recording;
beforeAll(async () => {
  recording = await recordInstall();
});
afterAll(() => recording.rig.close());

test('after a power cut at any operation of an install the board sees at once with a verified model', async () => {
  const { disk, rig } = recording;
  const recoveries = await recoverAll(recording);
  const [before, after] = ['1.1.0', '1.2.0'].map(
    (version) => recoveries.filter((each) => each.version === version).length,
  );
  expect(disk.operations.length).toBeGreaterThan(100);
  expect(Math.min(before, after)).toBeGreaterThan(0);
  // Once committed for certain it stays so.
  const sure = recoveries
    .filter(({ cut }) => cut.names === 'durable' && cut.data === 'durable')
    .map(({ version }) => version);
  expect(sure).toEqual([...sure].sort());

  // One of each stage with its fleet; all of them in install-cuts.full.test.ts.
  const all = distinct(recoveries);
  const some = all.filter((_, index) => index % Math.ceil(all.length / 4) === 0);
  for (const { index, cut, tree } of some)
    await converge(rig, tree, `cut before operation ${index}, ${JSON.stringify(cut)}`);
  process.stdout.write(
    `${disk.operations.length} operations, ${recoveries.length} cuts: ${before} woke up with the previous model, ${after} with the new one, 0 blind; ${some.length} of ${all.length} taken to the end\n`,
  );
}, 120_000);
