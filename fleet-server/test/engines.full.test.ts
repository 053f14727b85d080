import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, it } from 'vitest';
import { ON_BOTH } from './engine-lists.js';
import { repository } from './server-fixture.js';

it('the tests of the server hold on PostgreSQL and Mosquitto', async () => {
  const files = ON_BOTH.map((name) => `fleet-server/test/${name}`);
  const child = spawn(process.execPath, ['node_modules/vitest/vitest.mjs', 'run', '--reporter=default', ...files], {
    cwd: repository,
    // What fails in there fails here: this test is tried once more as a whole.
    env: {
      ...process.env,
      VIGIE_TEST_ENGINES: 'postgres-mosquitto',
      VIGIE_FULL: '1',
      VIGIE_TEST_RETRY: '',
      NO_COLOR: '1',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => (output += bytes));
  const [code] = await once(child, 'close');
  expect(code, output).toBe(0);
  expect(output).toMatch(new RegExp(`Test Files +${files.length} passed`));
}, 1_500_000);
