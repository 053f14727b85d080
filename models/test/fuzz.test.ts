import { existsSync } from 'node:fs';
import { expect, it } from 'vitest';
import { fuzzModelReaders, fuzzPackageReader, fuzzSandbox } from './fuzz-runs.js';

const SEED = 20_261_121;

it('mutated packages: the reader answers with a PackageError or a package', { timeout: 240_000 }, async () => {
  const { tally, faults } = await fuzzPackageReader(300, SEED);
  expect(faults).toEqual([]);
  // The mutations must reach beyond the front door.
  expect(Object.keys(tally.counts)).toEqual(
    expect.arrayContaining(['ARCHIVE_INVALID', 'MANIFEST_INVALID', 'accepted']),
  );
});

it('mutated models: parser, inspector and quantizer answer with a coded error or a model', {
  timeout: 240_000,
}, async () => {
  const { tally, faults } = await fuzzModelReaders(300, SEED);
  expect(faults).toEqual([]);
  expect(tally.counts.accepted).toBeGreaterThan(20);
});

it.skipIf(!existsSync(new URL('../dist/sandbox/load-child.js', import.meta.url)))(
  'mutated models and packages in ONNX Runtime: whatever happens stays in the child',
  { timeout: 240_000 },
  async () => {
    const { tally } = await fuzzSandbox(40, SEED);
    expect(tally.total).toBe(40);
    expect(tally.counts.MODEL_LOAD_FAILED).toBeGreaterThan(0);
  },
);
