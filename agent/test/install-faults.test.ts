import { expect, test } from 'vitest';
import { cell, FAULTS, table } from './fault-cases.js';
import { pooled, SCENARIOS } from './fault-rig.js';

/** One cell per state here, and each fault at least once; all of them in install-faults.full.test.ts. */
const CELLS = SCENARIOS.flatMap((scenario, row) =>
  FAULTS.filter((_, column) => (row + column * 2) % 9 === 0).map((fault) => ({ scenario, fault })),
);

test('state × fault: the board sees at once after the start, with a verified model, and gets where the fleet wants it', async () => {
  const cells = new Map<string, string>();
  await pooled(CELLS, 6, async ({ scenario, fault }) => {
    cells.set(`${scenario.state} × ${fault.name}`, await cell(scenario, fault));
  });
  expect(new Set(CELLS.map(({ scenario }) => scenario.state)).size).toBe(SCENARIOS.length);
  expect(new Set(CELLS.map(({ fault }) => fault.name)).size).toBe(FAULTS.length);
  process.stdout.write(
    `${table(
      cells,
      SCENARIOS.map(({ state }) => state),
    )}\n`,
  );
}, 120_000);
