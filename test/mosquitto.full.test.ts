import { expect, it } from 'vitest';
import { runRealFleet } from '../benchmarks/src/fleet/real-fleet.js';
import { Mosquitto } from './support/mosquitto.js';

it('a fleet on Mosquitto, which is killed in the middle of an update: every board proves that it runs the new release', async () => {
  const { boards, inSync, behind, atKill } = await runRealFleet({
    boards: 10,
    kill: 'broker',
    broker: new Mosquitto(),
    timeoutMs: 180_000,
    onProgress: (line) => console.log(line),
  });
  expect(behind).toEqual([]);
  expect(new Set(inSync).size).toBe(boards);
  expect(atKill?.busy ?? 0).toBeGreaterThan(0);
}, 400_000);
