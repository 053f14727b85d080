import { defineConfig } from 'vitest/config';

// VIGIE_FULL: '' leaves out *.full.test.ts (browser, other people's clients, real clips), '1' runs all, 'only' just those.
const full = process.env.VIGIE_FULL ?? '';

// The server's tests on PostgreSQL and Mosquitto (fleet-server/test/engines.full.test.ts) share one cluster.
const external = (process.env.VIGIE_TEST_ENGINES ?? 'embedded') !== 'embedded';

export default defineConfig({
  test: {
    environment: 'node',
    include: full === 'only' ? ['**/*.full.test.ts'] : ['**/*.test.ts'],
    exclude: ['**/node_modules/**', '**/dist/**', ...(full === '' ? ['**/*.full.test.ts'] : [])],
    globalSetup: external ? ['fleet-server/test/external-engines-setup.ts'] : [],
    // These end what hangs; how fast things are is measured elsewhere, and a busy machine is slow.
    testTimeout: full === '' ? 60_000 : 240_000,
    hookTimeout: 240_000,
    // Brokers, clusters and boards by the dozen on two cores, for half an hour: what fails in a full run is tried once more, and
    // named as unsteady at the end (scripts/test.mjs). `npm test` by itself has no second try.
    retry: process.env.VIGIE_TEST_RETRY === '1' ? 1 : 0,
    // Many tests start real servers, ffmpeg and inference: more of them at once would only starve each other on two cores.
    pool: 'forks',
    maxWorkers: 2,
    env: { ORT_DISABLE_TELEMETRY: '1' },
  },
});
