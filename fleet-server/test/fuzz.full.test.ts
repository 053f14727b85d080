import { afterAll, describe, expect, it } from 'vitest';
import { fuzz } from './fuzz-run.js';
import { dropTemplate } from './server-fixture.js';

afterAll(dropTemplate);

// 100,000 take about a quarter of an hour: VIGIE_FUZZ_REQUESTS=100000.
describe('tens of thousands of requests by schema, good and broken', () => {
  it('are answered without a fault and without a leak', async () => {
    const requests = Number(process.env.VIGIE_FUZZ_REQUESTS ?? 20_000);
    const seed = Number(process.env.VIGIE_FUZZ_SEED ?? 2026);
    const counts = await fuzz(requests, seed);
    process.stdout.write(`${requests} requests of seed ${seed}: ${JSON.stringify(counts)}\n`);
    expect(counts[200]).toBeGreaterThan(requests / 100);
  }, 3_600_000);
});
