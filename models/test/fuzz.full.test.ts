import { expect, it } from 'vitest';
import { type FuzzResult, fuzzModelReaders, fuzzPackageReader, fuzzSandbox, peakOfThisProcess } from './fuzz-runs.js';

const GIB = 1024 ** 3;
/** Another seed gives other mutations: `VIGIE_FUZZ_SEED=7 npm run test:full -- fuzz`. */
const SEED = Number(process.env.VIGIE_FUZZ_SEED ?? 1);
const COUNTS = { packages: 4000, models: 4000, sandbox: 2000 };

function report(name: string, result: FuzzResult): void {
  const { tally, childPeak, childStarts, slowestMs } = result;
  const mib = (bytes: number) => Math.round(bytes / 1024 ** 2);
  console.warn(
    `fuzz ${name}, seed ${SEED}: ${tally.total} mutations ${JSON.stringify(tally.counts)}; slowest ${Math.round(slowestMs)} ms; ` +
      `peak ${mib(peakOfThisProcess())} MiB here, ${mib(childPeak)} MiB in ${childStarts} children`,
  );
}

it('10,000 mutations: a coded error, a refusal or a contained crash; never over 1 GiB', {
  timeout: 1_800_000,
}, async () => {
  const packages = await fuzzPackageReader(COUNTS.packages, SEED * 1_000_000);
  report('package reader', packages);
  expect(packages.faults).toEqual([]);
  const models = await fuzzModelReaders(COUNTS.models, SEED * 1_000_000);
  report('model readers', models);
  expect(models.faults).toEqual([]);
  const sandbox = await fuzzSandbox(COUNTS.sandbox, SEED * 1_000_000);
  report('sandbox', sandbox);
  expect(packages.tally.total + models.tally.total + sandbox.tally.total).toBe(10_000);
  expect(peakOfThisProcess()).toBeLessThan(GIB);
  expect(sandbox.childPeak).toBeLessThan(GIB);
});
