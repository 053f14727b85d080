import { expect, test } from 'vitest';
import { cell, FAULTS, table } from './fault-cases.js';
import { pooled, SCENARIOS } from './fault-rig.js';

test('every state × every fault: the board sees at once after the start, and gets where the fleet wants it', async () => {
  const cells = new Map<string, string>();
  const all = SCENARIOS.flatMap((scenario) => FAULTS.map((fault) => ({ scenario, fault })));
  await pooled(all, 6, async ({ scenario, fault }) => {
    const key = `${scenario.state} × ${fault.name}`;
    cells.set(key, await cell(scenario, fault).catch((error: Error) => `LOST ${error.message}`));
  });
  process.stdout.write(
    `${table(
      cells,
      SCENARIOS.map(({ state }) => state),
    )}\n`,
  );
  expect([...cells.values()].filter((text) => text.startsWith('LOST'))).toEqual([]);
  expect(cells.size).toBe(14 * 9);
}, 900_000);
