import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { readHeat } from '../src/io/board-sensors.js';
import { systemClock } from '../src/io/system-clock.js';
import { runTrial } from '../src/update/trial-run.js';
import { scratchFolder } from './fleet-fixture.js';
import { CLASSIFIER, endBoards, FLOOR, FP32, INT8, shadow, type YardBoard, yardBoard } from './yard-board.js';

const POLICY = {
  minFrames: 60,
  compareEvery: 3,
  // Four of these run beside each other on a machine that does other things too: speed is not what is looked at here.
  maxLatencyRatio: 100,
  minDetectionRatio: 0.3,
  maxTemperatureC: 80,
  deadlineMs: 60_000,
};

afterEach(endBoards);

/** The FP32 package with its manifest changed. */
function changed(replace: (manifest: string) => string): string {
  const directory = join(scratchFolder(), 'changed');
  cpSync(FP32, directory, { recursive: true });
  const path = join(directory, 'manifest.yaml');
  const before = readFileSync(path, 'utf8');
  const after = replace(before);
  expect(after).not.toBe(before);
  writeFileSync(path, after);
  return directory;
}

const blind = () => changed((manifest) => manifest.replace(/default: 0\.\d+/, 'default: 0.999'));
const wrongPixels = () =>
  changed((manifest) => manifest.replace('color: RGB', 'color: RGB\n  mean: [255, 0, 255]\n  std: [4, 4, 4]'));

async function trial({ loop, factory }: YardBoard, directory: string, more: object = {}) {
  const candidate = await factory.spawn(directory, 'background');
  const subject = { candidateDigest: candidate.digest, baselineMs: [], policy: POLICY, scoreFloor: FLOOR, ...more };
  const { verdict } = runTrial(loop, systemClock, subject);
  await loop.turnTo(candidate, directory, POLICY.compareEvery);
  return verdict;
}

describe('a shadow run', () => {
  it.each([
    ['sees nothing', blind],
    ['gets its pixels wrong', wrongPixels],
    ['is of another kind', () => CLASSIFIER],
  ])('tells a candidate that %s', async (_what, make) => {
    const yard = await yardBoard(FP32);
    const { run } = await shadow(yard, make(), 20);
    const { ended, agreement } = await run;
    expect(ended).toBe('time');
    expect(agreement?.referenceBoxes).toBeGreaterThan(5);
    expect(agreement?.agreement).toBeLessThan(0.2);
  });
});

describe('a trial', () => {
  it('of the INT8 model after the FP32 one ends well, and says how far they agree', async () => {
    const yard = await yardBoard(FP32);
    const verdict = await trial(yard, INT8);
    expect(verdict).toMatchObject({ verdict: 'good' });
    expect(verdict.agreement?.agreement).toBeGreaterThan(0.7);
    await yard.loop.commit();
    expect(yard.factory.pids.size).toBe(1);
  });

  it('turns a model down that sees nothing', async () => {
    const yard = await yardBoard(FP32);
    expect(await trial(yard, blind())).toMatchObject({ verdict: 'bad', code: 'TRIAL_DISAGREES' });
    await yard.loop.turnBack();
    expect(yard.loop.drops).toEqual({});
  });

  it('does not hold the boxes of a detector against a classifier, and says so', async () => {
    const yard = await yardBoard(FP32);
    const verdict = await trial(yard, CLASSIFIER);
    expect(verdict).toMatchObject({ verdict: 'good', reason: expect.stringContaining('whole picture') });
  });

  it('judges nothing while the thermometer stands too high', async () => {
    const folder = scratchFolder();
    const files = { temperature: join(folder, 'temp'), throttled: join(folder, 'get_throttled') };
    writeFileSync(files.temperature, '84200\n');
    writeFileSync(files.throttled, '0\n');
    const yard = await yardBoard(FP32);
    const verdict = await trial(yard, INT8, { readHeat: () => readHeat(files) });
    expect(verdict).toMatchObject({
      verdict: 'inconclusive',
      code: 'TRIAL_HOT',
      message: expect.stringContaining('84 °C'),
    });
  });
});
