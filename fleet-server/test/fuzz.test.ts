import { afterAll, describe, expect, it } from 'vitest';
import { fuzz } from './fuzz-run.js';
import { dropTemplate } from './server-fixture.js';

afterAll(dropTemplate);

describe('requests by schema, good and broken', () => {
  it('are answered without a fault and without a leak', async () => {
    const counts = await fuzz(600, 1);
    // Both kinds reached the handlers.
    expect(counts[200]).toBeGreaterThan(20);
    expect(counts[400]).toBeGreaterThan(20);
  }, 180_000);
});
