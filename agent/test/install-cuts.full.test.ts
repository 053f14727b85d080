import { expect, test } from 'vitest';
import { FaultRig, pooled, SCENARIOS, type Scenario } from './fault-rig.js';
import { until } from './fleet-fixture.js';
import { converge, distinct, recordInstall, recoverAll } from './install-cuts.js';
import { RecordingFileSystem } from './recording-file-system.js';

test('every disk that a power cut in an install may leave is taken to the wanted model by its fleet', async () => {
  const recording = await recordInstall();
  const { rig } = recording;
  const recoveries = await recoverAll(recording);
  const all = distinct(recoveries);
  for (const { index, cut, tree } of all)
    await converge(rig, tree, `cut before operation ${index}, ${JSON.stringify(cut)}`);
  await rig.close();
  expect(all.length).toBeGreaterThan(100);
  process.stdout.write(`${all.length} different disks of ${recoveries.length} cuts: all converged\n`);
}, 900_000);

const INSTALL = SCENARIOS.find(({ state }) => state === 'TRIAL') as Scenario;

/** Lets operation `n` of an install, and for `last` all after it, fail with `code`; heals, and awaits the end. Returns how many there were. */
async function failAt(n: number, code: 'EIO' | 'ENOSPC', last: boolean): Promise<number> {
  const rig = await FaultRig.start(INSTALL);
  try {
    const disk = new RecordingFileSystem(rig.data);
    const board = await rig.boot(rig.data, disk);
    await until('live results', () => (board.updater.status().active?.framesRun ?? 0) > 9);
    const before = disk.count;
    const from = before + n;
    let failed = false;
    disk.fault = (count) => {
      if (count !== from && !(last && count > from)) return null;
      failed = true;
      return code;
    };
    const blind: string[] = [];
    board.updater.onPhase(({ phase }) => {
      if (board.live.active === null) blind.push(phase);
    });
    await rig.assign(rig.wanted);
    if (last) {
      await until('the fault, or the end', () => failed || board.updater.status().phase === 'COMMITTED');
      disk.fault = null;
    }
    await rig.converged();
    expect(blind, `operation ${n}`).toEqual([]);
    await rig.stop();
    const again = await rig.boot(rig.data, null);
    expect(await rig.seesWith(again, rig.data), `operation ${n}`).toBe('1.2.0');
    return disk.count - before;
  } finally {
    await rig.close();
  }
}

for (const code of ['EIO', 'ENOSPC'] as const) {
  test(`${code} at any single operation of an install, or from there on until healed: it ends with the wanted model`, async () => {
    const count = await failAt(1_000_000, code, false);
    const cases = Array.from({ length: count }, (_, n) => [false, true].map((last) => ({ n, last }))).flat();
    await pooled(cases, 6, ({ n, last }) => failAt(n, code, last));
    process.stdout.write(`${code}: ${cases.length} installs, all ended with the wanted model\n`);
  }, 900_000);
}
