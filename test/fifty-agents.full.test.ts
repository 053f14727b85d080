import { expect, it } from 'vitest';
import { runRealFleet } from '../benchmarks/src/fleet/real-fleet.js';

/** How many agents; on a small machine give fewer. */
const BOARDS = Number(process.env.VIGIE_FLEET_BOARDS ?? 50);

it('fifty real agents are updated at once, the server killed in the middle: every one proves that it runs the new release', async () => {
  const { boards, inSync, behind, atKill, result } = await runRealFleet({
    boards: BOARDS,
    kill: 'server',
    timeoutMs: 240_000,
    onProgress: (line) => console.log(line),
  });
  console.log(JSON.stringify(result.metrics));
  expect(behind).toEqual([]);
  expect(new Set(inSync).size).toBe(boards);
  // The kill came while the update went on.
  expect(atKill?.busy ?? 0).toBeGreaterThan(0);
}, 600_000);
